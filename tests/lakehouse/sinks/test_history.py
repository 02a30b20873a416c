"""The history sink: each record of a batch once, and dead letters are looked for only where there may be some."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse.contract import standard_tables
from lakehouse.events import rules
from lakehouse.sinks.history import HistorySink
from lakehouse.streaming.batch import Batch
from lakehouse.tables import table_io

pytestmark = pytest.mark.spark
HISTORY = standard_tables.history("sample", {"n": "INT"}, ("n",), "numbers")
LETTERS = standard_tables.dead_letters("sample", "no numbers")
ROW = "n int, reason string, offset bigint"


def frame(spark: SparkSession, *reasons: str | None) -> DataFrame:
    """A batch of records that were read, with these reasons."""
    rows = spark.createDataFrame([(number, reason, number) for number, reason in enumerate(reasons)], ROW)
    rest = ("'t' as topic", "0 as partition", "current_timestamp() as recorded_at", "binary('k') as key")
    return rows.selectExpr("*", *rest, "binary('v') as value")


def as_read(records: DataFrame, keep: Sequence[str]) -> DataFrame:
    """Those frames, with what is kept of their records."""
    return records.select(*dict.fromkeys([*HISTORY.columns, *keep, "reason"]))


def batch(number: int, records: int) -> Batch:
    """A batch that reads so many records."""
    return Batch("generation", number, {("t", 0): 0}, {("t", 0): records}, None)


@pytest.fixture
def asked(lake: Path, monkeypatch: pytest.MonkeyPatch) -> list[DataFrame]:
    """The frames in which dead letters were looked for."""
    looked: list[DataFrame] = []
    dead_letters = rules.dead_letters
    monkeypatch.setattr(rules, "dead_letters", lambda read: looked.append(read) or dead_letters(read))
    for table in (HISTORY, LETTERS):
        table_io.create(table)
    return looked


def test_a_batch_of_events_alone_is_read_once(spark: SparkSession, asked: list[DataFrame]) -> None:
    HistorySink((HISTORY, LETTERS), as_read).write(frame(spark, None, None), batch(0, 2))
    assert not asked
    assert table_io.read(HISTORY).num_rows == 2


def test_each_record_is_in_one_table_also_when_the_batch_comes_again(
    spark: SparkSession, asked: list[DataFrame]
) -> None:
    for _ in range(2):
        HistorySink((HISTORY, LETTERS), as_read).write(frame(spark, None, "no number", None), batch(0, 3))
    assert len(asked) == 2  # of a batch that was written already, nothing is known
    assert sorted(table_io.read(HISTORY)["offset"].to_pylist()) == [0, 2]
    assert table_io.read(LETTERS)["reason"].to_pylist() == ["no number"]


def test_records_that_no_transaction_committed_are_only_searched_for(
    spark: SparkSession, asked: list[DataFrame]
) -> None:
    """A topic's offsets have gaps where transactions end."""
    HistorySink((HISTORY, LETTERS), as_read).write(frame(spark, None), batch(0, 2))
    assert len(asked) == 1
    assert table_io.read(LETTERS).num_rows == 0
