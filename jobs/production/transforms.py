"""The domain's rules: pure functions, DataFrame -> DataFrame. The metrics of both layers are in metrics.py."""

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import chain
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.production import metrics
from jobs.production.plant import LONGEST, PRINTABLE, Plant, Rules
from jobs.production.schema import COUNTS, EARLIEST, HISTORY, MAX_AHEAD, TIME
from jobs.production.versions import Versions
from lakehouse.contract.standard_tables import COORDINATES
from lakehouse.streaming import json_reasons, json_values

# Half of a surrogate pair in JSON escapes: Spark would read a question mark, and two units could become one.
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF = r"\\u[dD][89a-fA-F]"
_ZONE_FIELDS = {"zone_id": "zone_id", "zone_charged_id": "zone_charged_id"}
_ID_FIELDS = {
    "qls_unit_id": "unit_id",
    "collection_point_id": "collection_point_id",
    "concern_id": "concern_id",
}
_OF_DEFECTS = ("concern_id", "zone_charged_id")


def parse_events(records: DataFrame, rules: Versions) -> DataFrame:
    """Kafka records as typed events, one row per record: HISTORY's columns, `key`, `value`, `reason`.

    `reason` is the first rule that the record breaks, null for a valid event.
    """
    coordinates = [F.col("topic"), F.col("partition"), F.col("offset"), F.col("timestamp").alias("recorded_at")]
    names = [*_ID_FIELDS, *_ZONE_FIELDS, TIME]
    raw = json_values.read_object(", ".join(f"{name} string" for name in names))
    read = records.select(*coordinates, "key", "value", raw.alias("raw"))
    typed = read.withColumns(
        {
            "kind": _of_version(rules, _kind),
            "event_at": json_values.time_of(F.col("raw")[TIME]),
            **{column: F.col("raw")[name] for name, column in {**_ID_FIELDS, **_ZONE_FIELDS}.items()},
        }
    )
    of_defect = F.col("kind") == "defect"
    for name in _OF_DEFECTS:  # a pass has none, even if one was sent
        typed = typed.withColumn(name, F.when(of_defect, F.col(name)))
    home = F.when(of_defect, _of_version(rules, _home))
    typed = typed.withColumn("zone_id", F.coalesce("zone_id", home))
    reason = F.coalesce(*[F.when(broken, reason) for broken, reason in _rules(rules)])
    return typed.withColumn("reason", reason).select(*HISTORY.columns, "key", "value", "reason")


def _of_version(versions: Versions, rule: Callable[[Rules], Column]) -> Column:
    """The column that `rule` gives for the rules valid at the record's offset."""
    first, *later = versions.known
    column = rule(first.rules)
    for one in later:
        since = F.coalesce(F.try_element_at(_map(one.since, "int", "bigint"), F.col("partition")), F.lit(0))
        column = F.when(F.col("offset") >= since, rule(one.rules)).otherwise(column)
    return column


def _map(pairs: Mapping[Any, Any], key: str, value: str) -> Column:
    return F.create_map(*[F.lit(part) for part in chain(*pairs.items())]).cast(f"map<{key}, {value}>")


def _kind(rules: Rules) -> Column:
    key = F.col("key")
    named = [F.when(key.isin([F.lit(one) for one in keys]), kind) for kind, keys in rules.kinds.items()]
    return F.coalesce(*named)


def _home(rules: Rules) -> Column:
    return F.try_element_at(_map(rules.homes, "string", "string"), F.col("collection_point_id"))


def _rules(versions: Versions) -> list[json_values.Rule]:
    """(broken, reason), in the order of precedence."""
    ahead = F.col("recorded_at") + F.expr(f"INTERVAL {MAX_AHEAD}")
    at, sent = F.col("event_at"), F.col("raw")[TIME]
    keys = [
        " or ".join(names) for names in (versions.known[-1].rules.keys.passes, versions.known[-1].rules.keys.defects)
    ]
    return [
        (F.col("kind").isNull(), f"key: neither {keys[0]} nor {keys[1]}"),
        *json_values.value_rules(F.col("raw")),
        (_has_half(F.col("value").cast("string")), "half of a character: a \\u escape of two without the other"),
        *(rule for name, column in _ID_FIELDS.items() for rule in _id_rules(name, column)),
        *(rule for name in _ZONE_FIELDS for rule in _zone_rules(name, versions)),
        (sent.isNull(), f"{TIME}: missing"),
        (at.isNull(), f"{TIME}: not a time (ISO 8601 or epoch milliseconds)"),
        (at < F.lit(EARLIEST).cast("timestamp"), f"{TIME}: before {EARLIEST}"),
        (at > ahead, f"{TIME}: more than {MAX_AHEAD} after the record's timestamp"),
    ]


def _has_half(value: Column) -> Column:
    """Whether a JSON text has half a pair; an escaped backslash starts no escape."""
    rest = F.regexp_replace(F.replace(value, F.lit("\\\\"), F.lit(" ")), _PAIR, " ")
    return value.contains("\\u") & rest.rlike(_HALF)


def _requirement(name: str) -> tuple[Column, str]:
    """Whether a field is required, and the words for the kind of event."""
    return (F.col("kind") == "defect", " of a defect") if name in _OF_DEFECTS else (F.lit(True), "")


def _id_rules(name: str, column: str) -> list[json_values.Rule]:
    value, (required, of) = F.col(column), _requirement(name)
    return [
        (required & value.isNull(), f"{name}{of}: missing"),
        *json_values.id_rules(name, value),
        (~value.rlike(PRINTABLE), f"{name}: not 1 to {LONGEST} printable characters"),
    ]


def _zone_rules(name: str, versions: Versions) -> list[json_values.Rule]:
    value, (required, of) = F.col(name), _requirement(name)
    known = _of_version(versions, lambda one: value.isin(*one.zones))
    missing: list[json_values.Rule] = [(required & value.isNull(), f"{name}{of}: missing")]
    if name == "zone_id":
        lost = (F.col("kind") == "defect") & value.isNull()
        missing.insert(0, (lost, f"{name}: missing, and the collection point is in no zone or in several"))
    return [*missing, *json_values.id_rules(name, F.col("raw")[name]), (~known, f"{name}: there is no such zone")]


def valid_events(parsed: DataFrame) -> DataFrame:
    """The valid events, one row per record, with HISTORY's columns; resends are kept."""
    return parsed.where(F.col("reason").isNull()).select(*HISTORY.columns)


def dead_letters(parsed: DataFrame) -> DataFrame:
    """The invalid records, one row each: coordinates, the reason, the bytes of the record."""
    bad = parsed.where(F.col("reason").isNotNull()).withColumn("reason", json_reasons.explained(F.col("reason")))
    return bad.select(*COORDINATES, "reason", "key", json_values.kept_value().alias("value"))


def passes(valid: DataFrame) -> DataFrame:
    """The first and last time at which a unit passed a zone, one row per (unit_id, zone_id)."""
    times = (F.min("event_at").alias("first_at"), F.max("event_at").alias("last_at"))
    return valid.where("kind = 'pass'").groupBy("unit_id", "zone_id").agg(*times)


def defects(valid: DataFrame) -> DataFrame:
    """The distinct defects: a duplicate is equal in all columns."""
    columns = ("unit_id", "collection_point_id", "zone_id", "concern_id", "zone_charged_id", "event_at")
    return valid.where("kind = 'defect'").select(*columns).distinct()


def totals(valid: DataFrame, plant: Plant) -> DataFrame:
    """Units, defects and throughput of valid events, one row per (day, zone_id) and per day for the whole line."""
    spark, once = valid.sparkSession, defects(valid)
    facts = spark.sql(metrics.FACTS, passes=passes(valid), defects=once)
    hours = spark.sql(metrics.on_clock(metrics.HOURS, plant), facts=facts)
    return spark.sql(metrics.TOTALS, hours=hours)


def compare_layers(delta: DataFrame, postgres: DataFrame, batch: DataFrame) -> DataFrame:
    """Totals of three stores, one row per (day, zone_id) that any of them knows, with the cause of a difference.

    `cause` is `equal`, `newer events` (the speed row has since seen more), `postgres differs`, or `unexplained`. A row
    of zeros counts as none: its units have moved to another day.
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
