"""The domain's rules: pure functions, DataFrame -> DataFrame. What is counted stands in metrics.py, for both layers."""

from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.production import metrics
from jobs.production.schema import COORDINATES, COUNTS, DEFECT, EARLIEST, HISTORY, MAX_AHEAD, PASS, TIME, ZONES
from lakehouse import events, unreadable

_ID = r"^[A-Za-z0-9_.:/-]{1,64}\z"
_KINDS = {PASS: "pass", DEFECT: "defect"}
_ZONE_FIELDS = {"zone_id": "zone_id", "zone_charged_id": "zone_charged_id"}
_ID_FIELDS = {
    "qls_unit_id": "unit_id",
    "collection_point_id": "collection_point_id",
    "concern_id": "concern_id",
}
_OF_DEFECTS = ("concern_id", "zone_charged_id")


def parse_events(records: DataFrame) -> DataFrame:
    """Kafka records as typed events, one row per record: HISTORY's columns, `key`, `value`, `reason`.

    `reason` is the first rule that the record breaks, null for a valid event.
    """
    coordinates = [F.col("topic"), F.col("partition"), F.col("offset"), F.col("timestamp").alias("recorded_at")]
    names = [*_ID_FIELDS, *_ZONE_FIELDS, TIME]
    raw = events.read_object(", ".join(f"{name} string" for name in names))
    read = records.select(*coordinates, "key", "value", raw.alias("raw"))
    kinds = [F.when(F.col("key") == F.lit(key).cast("binary"), kind) for key, kind in _KINDS.items()]
    typed = read.withColumns(
        {
            "kind": F.coalesce(*kinds),
            "event_at": events.time_of(F.col("raw")[TIME]),
            **{column: F.col("raw")[name] for name, column in {**_ID_FIELDS, **_ZONE_FIELDS}.items()},
        }
    )
    for name in _OF_DEFECTS:  # a pass has none, whatever was sent
        typed = typed.withColumn(name, F.when(F.col("kind") == "defect", F.col(name)))
    reason = F.coalesce(*[F.when(broken, reason) for broken, reason in _rules()])
    return typed.withColumn("reason", reason).select(*HISTORY.columns, "key", "value", "reason")


def _rules() -> list[events.Rule]:
    """(broken, reason), in the order in which they are told."""
    ahead = F.col("recorded_at") + F.expr(f"INTERVAL {MAX_AHEAD}")
    at, sent = F.col("event_at"), F.col("raw")[TIME]
    return [
        (F.col("kind").isNull(), f"key: neither {PASS} nor {DEFECT}"),
        *events.value_rules(F.col("raw")),
        *(rule for name, column in _ID_FIELDS.items() for rule in _field_rules(name, column)),
        *(rule for name, column in _ZONE_FIELDS.items() for rule in _field_rules(name, column)),
        (sent.isNull(), f"{TIME}: missing"),
        (at.isNull(), f"{TIME}: not a time (ISO 8601 or epoch milliseconds)"),
        (at < F.lit(EARLIEST).cast("timestamp"), f"{TIME}: before {EARLIEST}"),
        (at > ahead, f"{TIME}: more than {MAX_AHEAD} after the record's timestamp"),
    ]


def _field_rules(name: str, column: str) -> list[events.Rule]:
    value = F.col(column)
    asked = F.col("kind") == "defect" if name in _OF_DEFECTS else F.lit(True)
    of = " of a defect" if name in _OF_DEFECTS else ""
    if name in _ZONE_FIELDS:
        unlike = (~value.isin(*ZONES), f"{name}: there is no such zone")
    else:
        unlike = (~value.rlike(_ID), f"{name}: not 1 to 64 letters, digits or _.:/-")
    return [(asked & value.isNull(), f"{name}{of}: missing"), *events.id_rules(name, value), unlike]


def valid_events(parsed: DataFrame) -> DataFrame:
    """The valid events, one row per record, with HISTORY's columns; resends are kept."""
    return parsed.where(F.col("reason").isNull()).select(*HISTORY.columns)


def dead_letters(parsed: DataFrame) -> DataFrame:
    """The records that are no valid event, one row each: coordinates, the reason, the bytes as they came."""
    bad = parsed.where(F.col("reason").isNotNull()).withColumn("reason", unreadable.explained(F.col("reason")))
    return bad.select(*COORDINATES, "reason", "key", events.kept_value().alias("value"))


def passes(valid: DataFrame) -> DataFrame:
    """First and last time at which a unit passed a zone, one row per (unit_id, zone_id)."""
    times = (F.min("event_at").alias("first_at"), F.max("event_at").alias("last_at"))
    return valid.where("kind = 'pass'").groupBy("unit_id", "zone_id").agg(*times)


def defects(valid: DataFrame) -> DataFrame:
    """Each defect once, however often it was sent: a resend is the same in all that it says."""
    told = ("unit_id", "collection_point_id", "zone_id", "concern_id", "zone_charged_id", "event_at")
    return valid.where("kind = 'defect'").select(*told).distinct()


def totals(valid: DataFrame) -> DataFrame:
    """Units, defects and throughput of valid events, one row per (day, zone_id) and per day for the whole line."""
    spark, once = valid.sparkSession, defects(valid)
    facts = spark.sql(metrics.FACTS, passes=passes(valid), defects=once)
    hours = spark.sql(metrics.HOURS, facts=facts)
    return spark.sql(metrics.TOTALS, hours=hours)


def compare_layers(delta: DataFrame, postgres: DataFrame, batch: DataFrame) -> DataFrame:
    """Totals of three stores, one row per (day, zone_id) that any of them knows, with the cause of a difference.

    `cause` is `equal`, `newer events` (the speed row has since seen more), `postgres differs`, or `unexplained`. A row
    of zeros is as good as none: its units have moved to another day.
    """
    sides = {"delta": delta, "postgres": postgres, "batch": batch}
    extra: dict[str, list[Any]] = {
        "delta": ["generation", "batch_id"],
        "postgres": [F.col("batch_id").alias("postgres_batch_id")],
        "batch": ["covered_generation", "covered_batch_id"],
    }
    frames = [
        frame.select("day", "zone_id", *[F.col(name).alias(f"{side}_{name}") for name in COUNTS], *extra.get(side, []))
        for side, frame in sides.items()
    ]
    joined = reduce(lambda left, right: left.join(right, ["day", "zone_id"], "full"), frames)
    joined = joined.fillna(0, [f"{side}_{name}" for side in sides for name in COUNTS])
    newer = (F.col("generation") == F.col("covered_generation")) & (F.col("batch_id") > F.col("covered_batch_id"))
    another = F.col("batch_id") != F.col("postgres_batch_id")  # a live stream was between the two
    cause = (
        F.when(~_same("delta", "postgres"), F.when(another, "newer events").otherwise("postgres differs"))
        .when(_same("delta", "batch"), "equal")
        .when(newer | F.col("covered_generation").isNull(), "newer events")
        .otherwise("unexplained")
    )
    return joined.select("day", "zone_id", "delta_units", "postgres_units", "batch_units", cause.alias("cause"))


def _same(one: str, other: str) -> Column:
    return reduce(Column.__and__, [F.col(f"{one}_{name}") == F.col(f"{other}_{name}") for name in COUNTS])
