"""Reads Kafka records as JSON events, strictly: every domain's rules begin with it."""

import functools
from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.streaming import json_reasons
from lakehouse.streaming.batch import CUT, KEPT_BYTES

MAX_VALUE_BYTES = 256 * 1024
# \z, not $: that one also matches before a line end.
_ISO = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?\z"
_MILLIS = r"^-?\d{1,15}\z"
# What a number with a fraction or an exponent reads as in a text field: perhaps otherwise than it was written.
_FLOAT = r"^-?\d+\.\d+(E-?\d+)?\z"
_ODD = r'^[\[{]|^"-?Infinity"\z|' + _FLOAT
Rule = tuple[Column, Column | str]  # broken, and the reason


def read_json(fields: str) -> Column:
    """The value read as JSON: `event`, an array of one when the value is one object with these fields (a Spark schema),
    and `corrupt`, null when all of it could be read.

    The envelope makes bytes after the object an error; from_json alone would ignore them.
    """
    value, text = F.col("value"), json_reasons.text_of_value()
    fits = (F.octet_length(value) <= MAX_VALUE_BYTES) & F.is_valid_utf8(text)
    readable = F.when(fits & (~text.contains("]") | _is_one_value(text)), text)
    enveloped = F.concat(F.lit('{"event":['), readable, F.lit("]}"))
    return F.from_json(enveloped, f"event array<struct<{fields}>>, corrupt string", json_reasons.STRICT)


def read_object(fields: str) -> Column:
    """The record's `value` as one JSON object with these fields (a Spark schema); null where it is anything else."""
    read = read_json(fields)
    return F.when(read["corrupt"].isNull() & (F.size(read["event"]) == 1), read["event"][0])


def _is_one_value(text: Column) -> Column:
    """Whether a text that reads well in the envelope is one JSON value, and does not close the envelope itself.

    `{…}],"event":[{…}` and `{…}]} and more` read well there. What ends with the first value in an array and as well in
    an object ends with its text. Usual events have no brackets, so they do not pay for it.
    """
    as_field = F.concat(F.lit('{"one":'), text, F.lit("}"))
    return json_reasons.reads(as_field)


def time_of(raw: Column) -> Column:
    """A text as a time: ISO 8601, UTC where no zone is given, or epoch milliseconds; null where it is neither."""
    iso = F.when(raw.rlike(_ISO), raw.try_cast("timestamp"))
    return F.coalesce(iso, F.when(raw.rlike(_MILLIS), F.timestamp_millis(raw.try_cast("bigint"))))


def value_rules(read: Column) -> list[Rule]:
    """Why a record's `value` is no event whatever its fields: (broken, reason); the first that is broken counts."""
    value = F.col("value")
    return [
        (value.isNull(), "null value"),
        (F.octet_length(value) == 0, "empty value"),
        (F.octet_length(value) > KEPT_BYTES, CUT),
        (F.octet_length(value) > MAX_VALUE_BYTES, f"value larger than {MAX_VALUE_BYTES // 1024} KB"),
        (~F.is_valid_utf8(value.cast("string")), json_reasons.NO_TEXT),
        (read.isNull(), json_reasons.NO_OBJECT),
    ]


def id_rules(name: str, text: Column) -> list[Rule]:
    """Why a field that reads as this text is no id: it was neither a text nor a whole number.

    Spark writes such values out again: 98549320.0 as 9.854932E7, which would be another id. A text that only looks so
    is an id: where the text may be such a number, the record is read once more.
    """
    fraction = f"{name}: a number with a fraction or an exponent; a text or a whole number is wanted"
    nested = f"{name}: an array or an object; a text or a whole number is wanted"
    return [(is_no_id(name, text), F.when(text.rlike(r"^[\[{]"), nested).otherwise(fraction))]


def is_no_id(name: str, text: Column) -> Column:
    """Whether the field that reads as this text was something else than a text or a whole number."""
    # Bytes are looked for first: on all records the pattern alone would cost as much as a fourth of their reading.
    perhaps = text.contains(".") | text.startswith("[") | text.startswith("{") | text.startswith('"')
    return F.coalesce(F.when(perhaps, F.when(text.rlike(_ODD), _is_no_text(name))), F.lit(False))


@functools.cache
def _is_no_text(name: str) -> Column:
    """Whether a field that is there is no text. The record is one JSON object, as was read before."""
    field = F.from_json(json_reasons.text_of_value(), f"`{name}` variant", json_reasons.STRICT)[name]
    return F.coalesce(F.schema_of_variant(field) != "STRING", F.lit(True))


def other_names(names: Sequence[str]) -> Column:
    """The other names in the record's JSON object, without case and punctuation."""
    others = F.filter(F.json_object_keys(json_reasons.text_of_value()), lambda name: ~name.isin(*names))
    return F.transform(others, lambda name: F.regexp_replace(F.lower(name), "[^a-z0-9]", ""))


def bare(name: str) -> str:
    """A field's name without case and punctuation, since senders differ: sqftLiving, `SQFT LIVING`, sqft_living."""
    return name.lower().replace("_", "")


def kept_value() -> Column:
    """As much of the record's `value` as a dead letter keeps."""
    value = F.col("value")
    return F.when(F.octet_length(value) > KEPT_BYTES, F.substring(value, 1, KEPT_BYTES)).otherwise(value)
