"""Duplicates, late events, and the cause of a difference between the layers."""

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.streaming import layers

pytestmark = pytest.mark.spark
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
METRIC = layers.WindowMetric(("decade",), count="sales", total="sum_cents", average="avg_price")


def events(spark: SparkSession, rows: list[tuple[int, str | None, int]]) -> DataFrame:
    """Events of one decade as (event_at seconds past noon, event_id, offset)."""
    typed = [(NOON + timedelta(seconds=seconds), event_id, offset) for seconds, event_id, offset in rows]
    return spark.createDataFrame(typed, "event_at timestamp, event_id string, offset bigint").select(
        "*",
        F.lit(1950).alias("decade"),
        F.lit("houses").alias("topic"),
        F.lit(0).alias("partition"),
        F.timestamp_millis((F.col("offset") + 1_000_000) * 1000).alias("recorded_at"),
    )


def test_distinct_keeps_the_first_of_each_event_id_and_all_without_one(spark: SparkSession) -> None:
    frame = events(
        spark,
        [
            (0, "a", 5),
            (0, "a", 3),  # the first of a
            (0, None, 1),
            (0, None, 2),  # no id: stands for itself
        ],
    )
    assert sorted(row["offset"] for row in layers.distinct_events(frame).collect()) == [1, 2, 3]


def test_events_without_an_id_are_not_all_put_into_one_task(spark: SparkSession) -> None:
    rows = [(n, None if n % 3 else f"e{n % 2}", n) for n in range(60)]
    marked = layers.with_first(events(spark, rows).repartition(4))
    got = marked.select("offset", "event_id", "is_first", F.spark_partition_id().alias("task")).collect()
    first = {f"e{n % 2}": n for n in reversed(range(0, 60, 3))}.values()
    assert sorted(row["offset"] for row in got) == list(range(60))
    assert {row["offset"] for row in got if row["is_first"]} == {n for n in range(60) if n % 3} | set(first)
    assert len({row["task"] for row in got if row["event_id"] is None}) > 1


LOG = (
    "generation string, batch_id bigint, topic string, partition int, start_offset bigint, end_offset bigint, "
    "watermark timestamp"
)


def test_late_is_what_the_batch_before_had_closed(spark: SparkSession) -> None:
    frame = events(
        spark,
        [
            (0, "a", 0),
            (130, "b", 1),
            (10, "c", 2),  # read in batch 2; batch 1 ran with the watermark past 12:02: late
            (130, "b", 3),  # resent
            (10, "d", 4),  # not in the log: nothing can be said
        ],
    )
    stamp = NOON + timedelta(minutes=2)
    log = spark.createDataFrame(
        [
            ("g", 0, "houses", 0, 0, 2, None),
            ("g", 1, "houses", 0, 2, 2, stamp),  # an empty batch
            ("g", 2, "houses", 0, 2, 4, stamp),
        ],
        LOG,
    )
    marked = layers.with_watermark_before(layers.with_first(frame), log)
    counts = {
        (row["window_start"].minute, row["decade"]): (row["late"], row["resent"])
        for row in layers.late_and_resent(marked, METRIC.groups, "2 minutes").collect()
    }
    assert counts == {(0, 1950): (1, 0), (2, 1950): (0, 1)}


PARITY = [
    # speed (sales, cents), batch, late, resent, batches that the speed row is ahead, cause
    ((2, 200), (2, 200), 0, 0, 0, "equal"),
    ((2, 200), (3, 300), 1, 0, 0, "late"),
    ((3, 300), (2, 200), 0, 1, 0, "resent"),
    ((3, 300), (3, 350), 1, 1, 0, "late and resent"),
    ((2, 200), (3, 300), 0, 0, 0, "unexplained"),
    ((2, 200), (2, 250), 0, 0, 0, "unexplained"),
    (None, (1, 100), 1, 0, 0, "late"),
    ((1, 100), None, 0, 0, 0, "speed only"),
    ((5, 500), (2, 200), 0, 0, 1, "newer sales"),
]


def test_parity_names_the_cause(spark: SparkSession) -> None:
    schema = (
        "window_start timestamp, window_end timestamp, decade int, sales bigint, sum_cents bigint, avg_price double"
    )
    bounds = (NOON, NOON + timedelta(minutes=2))
    ours, theirs, counts = [], [], []
    for decade, (speed, batch, late, resent, ahead, _cause) in enumerate(PARITY):
        if speed:
            ours.append((*bounds, decade, *speed, speed[1] / 100 / speed[0], "g", 6 + ahead))
        if batch:
            theirs.append((*bounds, decade, *batch, batch[1] / 100 / batch[0], "g", 6))
        counts.append((bounds[0], decade, late, resent))
    parity = layers.compare_layers(
        spark.createDataFrame(ours, f"{schema}, generation string, batch_id bigint"),
        spark.createDataFrame(theirs, f"{schema}, covered_generation string, covered_batch_id bigint"),
        spark.createDataFrame(counts, "window_start timestamp, decade int, late bigint, resent bigint"),
        METRIC,
    ).collect()
    assert {row["decade"]: row["cause"] for row in parity} == {n: case[-1] for n, case in enumerate(PARITY)}
    assert {row["decade"]: row["difference"] for row in parity}[3] == 350 / 100 / 3 - 1.0
