"""The domain's rules: pure functions, DataFrame -> DataFrame, the same for the stream and for batches."""

import functools
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.houses.schema import EARLIEST, FIELDS, HISTORY, MAX_AHEAD, PRICE, READABLE, Field
from lakehouse.contract.standard_tables import COORDINATES
from lakehouse.streaming import json_reasons, json_values

_NUMBER = r"^-?\d+(\.\d+)?([eE][+-]?\d+)?\z"  # a cast would also accept 1f and 0x1p0
_WHOLE_ID = r"^0*(\d+)(\.0+)?\z"  # 0071 and 71.0 are the house 71
_ID = r"^[A-Za-z0-9_-]{1,64}\z"
TWICE = "a field is there twice, once of a wrong type"  # the remaining reason when each field alone is valid
IDS = ("id", "event_id")
_NUMERIC = ("INT", "DOUBLE", PRICE)
NAMES_OF_KINDS = {"STRING": "a text", "BOOLEAN": "true or false", "ARRAY": "an array", "OBJECT": "an object"}
WANTED = {
    "INT": "a whole number",
    "TIMESTAMP": "a time (ISO 8601 or epoch milliseconds)",
    "waterfront": "0, 1, true or false",
}


def _json_schema(numbers: str) -> str:
    """The event's fields as a schema; `numbers` is the type of numeric fields."""
    return ",".join(
        f"{f.name} {numbers if f.kind in _NUMERIC and f.name != 'waterfront' else 'string'}" for f in FIELDS
    )


def parse_sales(records: DataFrame) -> DataFrame:
    """Kafka records as typed sales, one row per record: HISTORY's columns, `key`, `value`, `is_valid`.

    An invalid record has the columns that could be read. Numbers may be loose: 3 or 3.0, and true or 1 for
    waterfront. A sale without `sold_at` has the record's timestamp as its event time.
    """
    coordinates = [F.col("topic"), F.col("partition"), F.col("offset"), F.col("timestamp").alias("recorded_at")]
    read = records.select(*coordinates, "key", "value", json_values.read_json(_json_schema("double")).alias("read"))
    read = read.withColumn("raw", F.when(F.size("read.event") == 1, F.col("read.event")[0]))
    sales = read.select(*COORDINATES, "key", "value", "read", "raw", *_all_typed())
    sales = sales.withColumn("event_at", F.coalesce("sold_at", "recorded_at")).withColumn("source", F.lit("stream"))
    return sales.withColumn("is_valid", _is_valid()).select(*HISTORY.columns, "key", "value", "is_valid")


@functools.cache
def _all_typed() -> list[Column]:
    """The columns of the fields. Built once per process, like the rules: it takes a thousand calls into the JVM."""
    return [_typed(field, F.col("raw")[field.name]).alias(field.name) for field in FIELDS]


def _typed(field: Field, raw: Column) -> Column:
    if field.name == "id":
        return F.regexp_replace(raw, _WHOLE_ID, "$1")
    if field.kind == "STRING":
        return raw
    if field.kind == "TIMESTAMP":
        return json_values.time_of(raw)
    if field.name == "waterfront":
        number = F.when(raw.isin("0", "1") | raw.rlike(_NUMBER), raw.try_cast("double"))
        raw = F.when(raw == "true", 1.0).when(raw == "false", 0.0).otherwise(number)
    if field.kind == "INT":
        return F.when(raw == F.floor(raw), raw).try_cast("int")
    return raw.try_cast(field.kind)


@functools.cache
def _is_valid() -> Column:
    whole = F.col("read.corrupt").isNull() & F.col("raw").isNotNull()
    fields = [F.coalesce(_in_bounds(field), F.lit(False) if field.required else _absent(field)) for field in FIELDS]
    broken = [
        *(rule for rule, _reason in _time_rules()),
        *(json_values.is_no_id(name, F.col("raw")[name]) for name in IDS),
    ]
    return F.coalesce(reduce(Column.__and__, [whole, *fields, *(~rule for rule in broken)]), F.lit(False))


def _absent(field: Field) -> Column:
    return F.col("raw")[field.name].isNull()


def _in_bounds(field: Field) -> Column:
    """Whether the field is within its bounds; null where it has no value of the right type."""
    value = F.col(field.name)
    if field.name == "id":
        return value.rlike(_ID)
    if field.kind == "STRING":
        return F.length(value).between(1, 128)
    if field.kind == "TIMESTAMP":
        return value.between(F.lit(READABLE[0]).cast("timestamp"), F.lit(READABLE[1]).cast("timestamp"))
    return value.between(F.lit(field.low), F.lit(field.high))


def _time_rules() -> list[tuple[Column, str]]:
    ahead = F.col("recorded_at") + F.expr(f"INTERVAL {MAX_AHEAD}")
    return [
        (F.col("event_at") < F.lit(EARLIEST).cast("timestamp"), f"event time before {EARLIEST}"),
        (F.col("event_at") > ahead, f"sold_at: more than {MAX_AHEAD} after the record's timestamp"),
    ]


def valid_sales(parsed: DataFrame) -> DataFrame:
    """The sales among parsed records, one row per valid record, with HISTORY's columns; resends are kept."""
    return parsed.where("is_valid").select(*HISTORY.columns)


def dead_letters(parsed: DataFrame) -> DataFrame:
    """The invalid records, one row each: coordinates, the first rule it breaks, the bytes of the record.

    Only here the text of each field is read, so that valid sales do not cost more.
    """
    bad = parsed.where(~F.col("is_valid")).withColumns(
        {
            "raw": json_values.read_object(_json_schema("string")),
            "alike": json_values.other_names([field.name for field in FIELDS]),
        }
    )
    return bad.select(*COORDINATES, _reason().alias("reason"), "key", json_values.kept_value().alias("value"))


@functools.cache
def _reason() -> Column:
    rules = [
        *json_values.value_rules(F.col("raw")),
        *(rule for field in FIELDS for rule in _field_reasons(field)),
        *_time_rules(),
    ]
    reason = F.coalesce(*[F.when(broken, reason) for broken, reason in rules], F.lit(TWICE))
    return json_reasons.let(F.split(reason, "\n"), _with_kind_sent)


def _field_reasons(field: Field) -> list[json_values.Rule]:
    value, bounds = F.col(field.name), "" if field.low is None else f" ({field.low:.12g} to {field.high:.12g})"
    rules = {"id": "not 1 to 64 letters, digits, - or _", "event_id": "not 1 to 128 characters"}
    rule = rules.get(field.name) or (f"not from {READABLE[0]} to {READABLE[1]}" if field.kind == "TIMESTAMP" else "")
    out = f"{field.name}: {rule or f'out of bounds{bounds}'}"
    unlike = ~_absent(field) & value.isNull()
    return [
        *([(_absent(field), _missing(field.name))] if field.required else []),
        *(json_values.id_rules(field.name, F.col("raw")[field.name]) if field.name in IDS else []),
        (unlike, f"{field.name}\n{WANTED.get(field.name) or WANTED.get(field.kind, 'a number')}\n{out}"),
        (~_in_bounds(field), out),
    ]


def _missing(name: str) -> Column:
    alike = F.lit(f"{name}: missing; a field of nearly this name is there")
    return F.when(F.array_contains("alike", json_values.bare(name)), alike).otherwise(f"{name}: missing")


def _with_kind_sent(parts: Column) -> Column:
    """The reason for an unreadable field: name, kind sent, kind wanted; or the one for numbers in `parts`."""
    sent = F.from_json(json_reasons.text_of_value(), "map<string,variant>")[parts[0]]
    number = F.try_variant_get(sent, "$", "double")
    names = F.create_map(*[F.lit(text) for pair in NAMES_OF_KINDS.items() for text in pair])
    kind = F.coalesce(
        F.when(F.try_variant_get(sent, "$", "string") == "", "an empty text"),
        F.try_element_at(names, F.regexp_extract(F.schema_of_variant(sent), "^[A-Z]+", 0)),
        F.when((F.abs(number) < 1e15) & (number != F.floor(number)), "a number with a fraction"),
        F.when(parts[1].startswith("a time"), "a number"),
    )
    sentence = F.concat(parts[0], F.lit(": "), kind, F.lit(", not "), parts[1])
    return F.when(F.size(parts) == 3, F.coalesce(sentence, parts[2])).otherwise(json_reasons.explained(parts[0]))


def with_decade(sales: DataFrame) -> DataFrame:
    """Sales with `decade`, the decade the house was built in: 1955 -> 1950."""
    return sales.withColumn("decade", (F.floor(F.col("yr_built") / 10) * 10).cast("int"))


def average_price(sales: DataFrame, window: str, slide: str | None = None) -> DataFrame:
    """Average price and number of sales, one row per (window_start, decade).

    Prices are added as whole cents and divided once, so any recomputation gives the same double. A sale without event
    time (the initial history) is in no window.
    """
    grouped = with_decade(sales).groupBy(F.window("event_at", window, slide).alias("w"), "decade")
    sums = grouped.agg(
        F.count(F.lit(1)).alias("sales"), F.sum((F.col("price") * 100).cast("bigint")).alias("sum_cents")
    )
    return sums.select(
        F.col("w.start").alias("window_start"),
        F.col("w.end").alias("window_end"),
        "decade",
        (F.col("sum_cents").cast("double") / (F.col("sales") * 100).cast("double")).alias("avg_price"),
        "sales",
        "sum_cents",
    )
