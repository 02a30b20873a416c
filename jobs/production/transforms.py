"""The domain's rules: pure functions, DataFrame -> DataFrame. The metrics of both layers are in metrics.py."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import chain
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.production import metrics
from jobs.production.events import LINE_EVENT, TIME
from jobs.production.plant import NAME, Plant, Rules
from jobs.production.schema import COUNTS, EARLIEST, HISTORY, MAX_AHEAD
from jobs.production.versions import Versions
from lakehouse.events import rules
from lakehouse.events.reader import PLACE, RECORD, read_events

_OF_DEFECTS = ("concern_id", "zone_charged_id")
_NAME = rf"^(?=[\s\S]*{NAME.has}){NAME.pattern}\z"  # as Java reads it


def parse_events(records: DataFrame, keep: Sequence[str] = tuple(RECORD), *, versions: Versions) -> DataFrame:
    """Kafka records as typed events, one row per record: HISTORY's columns, what is kept of the record, and `reason`.

    `reason` is the first rule that the record breaks, null for a valid event.
    """
    read = read_events(records, LINE_EVENT, keep=list(dict.fromkeys([*keep, "key"]))).withColumn(
        "kind", _of_version(versions, _kind)
    )
    of_defect = F.col("kind") == "defect"
    for name in _OF_DEFECTS:  # a pass has none, even if one was sent
        read = read.withColumn(name, F.when(of_defect, F.col(name)))
    home = F.when(of_defect, _of_version(versions, _home))
    events = read.withColumn("zone_id", F.coalesce("zone_id", home))
    no_kind = F.when(F.col("kind").isNull(), _unknown_key(versions))
    events = events.withColumn("reason", F.coalesce(no_kind, "reason"))
    ruled = rules.with_rules(events, _rules(versions))
    return ruled.select(*dict.fromkeys([*HISTORY.columns, *keep, "reason"]))


def valid_events(records: DataFrame, versions: Versions) -> DataFrame:
    """The valid events of Kafka records, one row per record, with HISTORY's columns; resends are kept."""
    return rules.valid_events(parse_events(records, PLACE, versions=versions), HISTORY)


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


def _kind(of: Rules) -> Column:
    key = F.col("key")
    named = [F.when(key.isin([F.lit(one) for one in keys]), kind) for kind, keys in of.kinds.items()]
    return F.coalesce(*named)


def _home(of: Rules) -> Column:
    return F.try_element_at(_map(of.homes, "string", "string"), F.col("collection_point_id"))


def _unknown_key(versions: Versions) -> str:
    keys = versions.known[-1].rules.keys
    return f"key: neither {' or '.join(keys.passes)} nor {' or '.join(keys.defects)}"


def _rules(versions: Versions) -> list[rules.Rule]:
    """(broken, reason), in the order of precedence."""
    of_defect, concern = F.col("kind") == "defect", F.col("concern_id")
    nowhere = "zone_id: missing, and the collection point is in no zone or in several"
    return [
        (of_defect & concern.isNull(), "concern_id of a defect: missing"),
        (~concern.rlike(_NAME), f"concern_id: not {NAME.wanted}"),
        (of_defect & F.col("zone_id").isNull(), nowhere),
        (F.col("zone_id").isNull(), "zone_id: missing"),
        (of_defect & F.col("zone_charged_id").isNull(), "zone_charged_id of a defect: missing"),
        *((~_is_zone(name, versions), f"{name}: there is no such zone") for name in ("zone_id", "zone_charged_id")),
        *rules.time_rules(TIME, EARLIEST, MAX_AHEAD),
    ]


def _is_zone(name: str, versions: Versions) -> Column:
    return _of_version(versions, lambda one: F.col(name).isin(*one.zones))


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
