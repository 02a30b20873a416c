"""Reading records as JSON events, strictly: what every domain's rules begin with. Columns of Kafka records in."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.batches import CUT, KEPT_BYTES

MAX_VALUE_BYTES = 256 * 1024
# \z, not $: that one also matches before a line end.
_ISO = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?\z"
_MILLIS = r"^-?\d{1,15}\z"
_STRICT = {"allowNonNumericNumbers": "false", "allowSingleQuotes": "false", "columnNameOfCorruptRecord": "corrupt"}


def read_object(fields: str) -> Column:
    """The record's `value` as one JSON object with these fields (a Spark schema); null where it is anything else."""
    value = F.col("value")
    text = value.cast("string")
    fits = (F.octet_length(value) <= MAX_VALUE_BYTES) & F.is_valid_utf8(text)
    readable = F.when(fits & (~text.contains("]") | _is_one_value(text)), text)
    # The envelope makes bytes after the object an error; from_json alone would ignore them.
    enveloped = F.concat(F.lit('{"event":['), readable, F.lit("]}"))
    read = F.from_json(enveloped, f"event array<struct<{fields}>>, corrupt string", _STRICT)
    return F.when(read["corrupt"].isNull() & (F.size(read["event"]) == 1), read["event"][0])


def _is_one_value(text: Column) -> Column:
    """Whether a text that reads well in the envelope is one JSON value, and does not close the envelope itself."""
    as_field = F.concat(F.lit('{"event":{"one":'), text, F.lit("}}"))
    return F.from_json(as_field, "event string, corrupt string", _STRICT)["corrupt"].isNull()


def time_of(raw: Column) -> Column:
    """A text as a time: ISO 8601, UTC where no zone is given, or epoch milliseconds; null where it is neither."""
    iso = F.when(raw.rlike(_ISO), raw.try_cast("timestamp"))
    return F.coalesce(iso, F.when(raw.rlike(_MILLIS), F.timestamp_millis(raw.try_cast("bigint"))))


def value_rules(read: Column) -> list[tuple[Column, str]]:
    """Why a record's `value` is no event whatever its fields: (broken, reason), the first that holds counts."""
    value = F.col("value")
    return [
        (value.isNull(), "null value"),
        (F.octet_length(value) == 0, "empty value"),
        (F.octet_length(value) > KEPT_BYTES, CUT),
        (F.octet_length(value) > MAX_VALUE_BYTES, f"value larger than {MAX_VALUE_BYTES // 1024} KB"),
        (~F.is_valid_utf8(value.cast("string")), "invalid UTF-8"),
        (read.isNull(), "malformed JSON: not one object"),
    ]


def kept_value() -> Column:
    """As much of the record's `value` as a dead letter keeps."""
    value = F.col("value")
    return F.when(F.octet_length(value) > KEPT_BYTES, F.substring(value, 1, KEPT_BYTES)).otherwise(value)
