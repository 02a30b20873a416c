"""The audit's decoder and the stream's rules, each written by itself, keep and refuse the same records."""

import pytest
from pyspark.sql import SparkSession

from jobs.example import audit, transforms
from jobs.example.schema import HISTORY
from lakehouse.kafka.reader import Record
from lakehouse.spark.session import collect
from tests.jobs.example.records import BAD, GOOD, NOON, RECORDS, record, value

pytestmark = pytest.mark.spark


def test_both_keep_and_refuse_the_same(spark: SparkSession) -> None:
    sent = [*GOOD, *[one for one, _ in BAD]]
    rows = spark.createDataFrame([record(one, n) for n, one in enumerate(sent)], RECORDS)
    kept = collect(transforms.valid_events(rows).orderBy("offset"))
    millis = int(NOON.timestamp() * 1000)
    records = [Record(n, millis, b"thing-1", value(one)) for n, one in enumerate(sent)]
    decoded = audit.decode(("example", 0), records)
    assert decoded.rows.to_pylist() == kept
    assert sorted(decoded.refused) == list(range(len(GOOD), len(sent)))
    assert decoded.rows.schema == HISTORY.arrow_schema
