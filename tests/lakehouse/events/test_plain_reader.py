"""What our encoder wrote, read by expressions alone, is what the decoder reads."""

from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.houses.events import SALE, Sale
from lakehouse.events.plain_reader import event_of
from lakehouse.events.reader import read_events
from lakehouse.spark.session import collect
from tests.jobs.houses.sales import RECORDS, event, plain, record

pytestmark = pytest.mark.spark
SENT = [
    event(),
    plain(),
    event(price=99.05, event_id="é\U0001f3e0", lat=-0.0, sold_at="2026-11-22T12:00:00.123456Z"),
    event(waterfront=1, listed_at=None, grade=None),
]


def test_both_readers_give_the_same_columns(spark: SparkSession) -> None:
    values = [SALE.encode(Sale(**{name: value for name, value in one.items() if value is not None})) for one in SENT]
    records = spark.createDataFrame([record(value, number) for number, value in enumerate(values)], RECORDS)
    decoded: list[Any] = collect(read_events(records, SALE, keep=()).select(*SALE.columns))
    plainly = collect(records.select(event_of(F.col("value"), SALE).alias("sale")).select("sale.*"))
    assert plainly == decoded
    assert len(decoded) == len(SENT)
