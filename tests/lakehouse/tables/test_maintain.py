"""Large tables compacted and cleaned by Spark, also while a stream appends."""

import os
import threading
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.houses.schema import AVERAGES, AVERAGES_BATCH, AVERAGES_BATCHES, DEAD_LETTERS, DOMAIN, HISTORY, PRICES
from lakehouse.tables import table_io
from lakehouse.tables.maintain import large_tables, maintain
from lakehouse.tables.table_io import HISTORY_PROPERTIES, Table

EVENTS = Table("demo", "events", {"offset": "BIGINT"}, ("offset",), "events of a test", HISTORY_PROPERTIES)
DAY = 86_400.0


def append(first: int, count: int) -> None:
    """One small file for each offset."""
    delta = table_io.create(EVENTS)
    for offset in range(first, first + count):
        table_io.append(delta, table_io.rows(EVENTS, [{"offset": offset}]), "test", offset)


def offsets() -> list[int]:
    return sorted(table_io.read(EVENTS)["offset"].to_pylist())


@pytest.mark.usefixtures("lake")
def test_serving_tables_are_left_to_their_writer() -> None:
    for table in DOMAIN.tables:
        table_io.create(table)
    kept = large_tables(DOMAIN.tables)
    assert all(table in kept for table in (HISTORY, DEAD_LETTERS, AVERAGES_BATCH))
    assert all(table not in kept for table in (AVERAGES, AVERAGES_BATCHES, PRICES))


@pytest.mark.spark
@pytest.mark.usefixtures("lake")
def test_many_files_become_few_and_only_old_orphans_go(spark: SparkSession) -> None:
    append(0, 12)
    old, young = EVENTS.path / "part-old.parquet", EVENTS.path / "part-young.parquet"
    for file, days in ((old, 8), (young, 6)):
        file.write_bytes(b"left by a crash")
        os.utime(file, (time.time() - days * DAY,) * 2)
    sentence = maintain(spark, EVENTS)
    assert sentence == "demo.events: 12 files became 1; 1 unused files were deleted, 14 are on disk."
    assert offsets() == list(range(12))
    assert len(DeltaTable(EVENTS.path).file_uris()) == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert len(DeltaTable(EVENTS.path, version=12).to_pyarrow_table()) == 12  # the last week can still be read


@pytest.mark.spark
@pytest.mark.usefixtures("lake")
def test_a_stream_that_appends_meanwhile_does_not_fail_and_loses_nothing(spark: SparkSession, lake: Path) -> None:
    append(0, 30)
    stop, done, failed = threading.Event(), [29], []

    def stream() -> None:
        while not stop.is_set():
            batch = spark.range(done[-1] + 1, done[-1] + 2).select(F.col("id").alias("offset"))
            try:
                table_io.append_batch(batch, EVENTS, "stream", done[-1] + 1)
            except Exception as error:
                failed.append(error)
                return
            done.append(done[-1] + 1)

    writer = threading.Thread(target=stream)
    writer.start()
    try:
        until = time.monotonic() + 120
        while not compacted_beside_an_append() and not failed:
            assert time.monotonic() < until, "no append came between a compaction's start and end"
            maintain(spark, EVENTS)
    finally:
        stop.set()
        writer.join()
    assert not failed
    assert offsets() == list(range(done[-1] + 1))


def compacted_beside_an_append() -> bool:
    """Whether a compaction was committed later than right after the version that it had read."""
    commits = DeltaTable(EVENTS.path).history()
    return any(
        commit["operation"] == "OPTIMIZE" and commit["version"] > commit["readVersion"] + 1 for commit in commits
    )
