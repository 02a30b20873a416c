"""The plain way that the bench holds the stream against does the same work: it gives the pipeline's very averages."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.houses import transforms
from lakehouse.spark.session import collect
from tests.audit import poison
from tests.bench import plain
from tests.jobs.houses.sales import RECORDS, event

NOW = datetime.now(UTC).replace(microsecond=0)


def values() -> list[bytes | None]:
    """Good and spoilt values, among them many that the fast reading must leave to the exact one."""
    return [record.value for record in poison.records(seed=7, messages=400)]


@pytest.mark.spark
def test_the_plain_way_gives_the_pipelines_averages(spark: SparkSession) -> None:
    sent = values()
    rows = [("houses", 0, number, NOW, b"k", value) for number, value in enumerate(sent)]
    frame = transforms.average_price(transforms.priced_sales(spark.createDataFrame(rows, RECORDS)), "2 minutes")
    piped = {
        (int(row["window_start"].timestamp()), row["decade"]): [row["sales"], row["sum_cents"]]
        for row in collect(frame)
    }

    def read() -> Iterator[tuple[Any, int]]:
        return ((value, int(NOW.timestamp() * 1000)) for value in sent)

    assert plain.averages(read(), plain.checked) == piped
    assert 0 < sum(sales for sales, _ in piped.values()) < len(sent)  # some are good, some are bad


def test_most_sales_take_the_fast_reading() -> None:
    value = json.dumps(event(sold_at="2026-11-22T12:00:00.000Z")).encode()
    assert plain._fast(value, 1_900_000_000_000) == plain.checked(value, 1_900_000_000_000)
