"""The domain's rules: pure functions, DataFrame -> DataFrame, the same for the stream and for batches."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.example.schema import EARLIEST, HISTORY, MAX_AHEAD, MOST
from lakehouse.contract.standard_tables import COORDINATES
from lakehouse.streaming import json_reasons, json_values
from lakehouse.streaming.layers import WindowMetric

FIELDS = ("event_id", "id", "quantity", "happened_at")
METRIC = WindowMetric(("id",), count="events", total="sum_quantity", average="avg_quantity")
_ID = r"^[A-Za-z0-9_-]{1,64}\z"
_WHOLE = r"^-?(0|[1-9]\d{0,8})\z"


def parse_events(records: DataFrame) -> DataFrame:
    """Kafka records as typed events, one row per record: HISTORY's columns, `key`, `value`, `reason`.

    `reason` is the first rule that the record breaks, null for a valid event. An event without `happened_at` has the
    record's timestamp as its event time.
    """
    coordinates = [F.col("topic"), F.col("partition"), F.col("offset"), F.col("timestamp").alias("recorded_at")]
    raw = json_values.read_object(", ".join(f"{name} string" for name in FIELDS)).alias("raw")
    read = records.select(*coordinates, "key", "value", raw)
    typed = read.withColumns(
        {
            "event_id": F.col("raw.event_id"),
            "id": F.col("raw.id"),
            "quantity": F.when(F.col("raw.quantity").rlike(_WHOLE), F.col("raw.quantity").try_cast("int")),
            "event_at": F.when(F.col("raw.happened_at").isNull(), F.col("recorded_at")).otherwise(
                json_values.time_of(F.col("raw.happened_at"))
            ),
        }
    )
    reason = F.coalesce(*[F.when(broken, reason) for broken, reason in _rules()])
    return typed.withColumn("reason", reason).select(*HISTORY.columns, "key", "value", "reason")


def _rules() -> list[json_values.Rule]:
    """(broken, reason), in the order of precedence."""
    at, ahead = F.col("event_at"), F.col("recorded_at") + F.expr(f"INTERVAL {MAX_AHEAD}")
    return [
        *json_values.value_rules(F.col("raw")),
        (F.col("id").isNull(), "id: missing"),
        *json_values.id_rules("id", F.col("id")),
        (~F.col("id").rlike(_ID), "id: not 1 to 64 letters, digits, - or _"),
        *json_values.id_rules("event_id", F.col("event_id")),
        (~F.col("event_id").rlike(_ID), "event_id: not 1 to 64 letters, digits, - or _"),
        (F.col("raw.quantity").isNull(), "quantity: missing"),
        (F.col("quantity").isNull(), "quantity: not a whole number"),
        (F.abs("quantity") > MOST, f"quantity: out of bounds (-{MOST} to {MOST})"),
        (at.isNull(), "happened_at: not a time (ISO 8601 or epoch milliseconds)"),
        (at < F.lit(EARLIEST).cast("timestamp"), f"happened_at: before {EARLIEST}"),
        (at > ahead, f"happened_at: more than {MAX_AHEAD} after the record's timestamp"),
    ]


def valid_events(parsed: DataFrame) -> DataFrame:
    """The valid events, one row per record, with HISTORY's columns; duplicates are kept."""
    return parsed.where(F.col("reason").isNull()).select(*HISTORY.columns)


def dead_letters(parsed: DataFrame) -> DataFrame:
    """The invalid records, one row each: coordinates, the reason, the bytes of the record."""
    bad = parsed.where(F.col("reason").isNotNull()).withColumn("reason", json_reasons.explained(F.col("reason")))
    return bad.select(*COORDINATES, "reason", "key", json_values.kept_value().alias("value"))


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
