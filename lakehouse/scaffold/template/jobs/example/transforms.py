"""The domain's rules: pure functions, DataFrame -> DataFrame, the same for the stream and for batches."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.example.events import EVENT
from jobs.example.schema import EARLIEST, HISTORY, MAX_AHEAD
from lakehouse.events import rules
from lakehouse.events.reader import PLACE, RECORD, read_events
from lakehouse.streaming.layers import WindowMetric

METRIC = WindowMetric(("id",), count="events", total="sum_quantity", average="avg_quantity")


def parse_events(records: DataFrame, keep: Sequence[str] = tuple(RECORD)) -> DataFrame:
    """Kafka records as typed events, one row per record: HISTORY's columns, what is kept of the record, and `reason`.

    `reason` is the first rule that the record breaks, null for a valid event. An event without `happened_at` has the
    record's timestamp as its event time.
    """
    read = read_events(records, EVENT, keep=keep).withColumn("event_at", F.coalesce("happened_at", "recorded_at"))
    ruled = rules.with_rules(read, rules.time_rules("happened_at", EARLIEST, MAX_AHEAD))
    return ruled.select(*dict.fromkeys([*HISTORY.columns, *keep, "reason"]))


def valid_events(records: DataFrame) -> DataFrame:
    """The valid events of Kafka records, one row per record, with HISTORY's columns; duplicates are kept."""
    return rules.valid_events(parse_events(records, PLACE), HISTORY)


def totals(events: DataFrame, window: str) -> DataFrame:
    """Events, their quantity and its average, one row per (window_start, id).

    The sum is a whole number and divided once, so any recomputation gives the same double.
    """
    sums = events.groupBy(F.window("event_at", window).alias("w"), "id").agg(
        F.count(F.lit(1)).alias("events"), F.sum(F.col("quantity").cast("bigint")).alias("sum_quantity")
    )
    return sums.select(
        F.col("w.start").alias("window_start"),
        F.col("w.end").alias("window_end"),
        "id",
        "events",
        "sum_quantity",
        (F.col("sum_quantity").cast("double") / F.col("events").cast("double")).alias("avg_quantity"),
    )
