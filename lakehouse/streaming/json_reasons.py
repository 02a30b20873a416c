"""Why a value is no JSON object, in words for its sender: what was found, what is wanted. Read for bad records only.

Columns are built once in a process: a batch has a plan of its own, and each call into the JVM for it costs time.
"""

import functools
from collections.abc import Callable, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

STRICT = {"allowNonNumericNumbers": "false", "allowSingleQuotes": "false", "columnNameOfCorruptRecord": "corrupt"}
NO_TEXT, NO_OBJECT = "invalid UTF-8", "malformed JSON: not one object"
_Table = Sequence[tuple[str, str]]

# Of the first bytes, in hex. A registry's header is 0 and a schema's id of four bytes, or of eight; AWS Glue's is 03.
_BYTES: _Table = (
    ("^(0000FEFF|FFFE0000|0000007B|7B000000)", "UTF-32; JSON in UTF-8 is wanted"),
    ("^(FEFF|FFFE|007B00|7B00..00)", "UTF-16; JSON in UTF-8 is wanted"),
    (r"^(00)+\z", "zero bytes; a JSON object is wanted"),
    ("^(00(..){4}|00(..){8}|030[05](..){16})7B", "a schema registry's header before JSON; JSON alone is wanted"),
    ("^(00(?!7B22)(..){4}|030[05])", "a schema registry's header before Avro or Protobuf; JSON is wanted"),
    (
        "^(1F8B|28B52FFD|04224D18|FF060000734E6150|82534E41505059|504B0304)",
        "compressed by the sender's own code; JSON is wanted (the producer's compression.type does no harm)",
    ),
    ("^4F626A01", "an Avro file; JSON is wanted"),
    ("^ACED0005", "a serialized Java object; JSON is wanted"),
    ("^80(02|03|04|05)", "a Python pickle; JSON is wanted"),
)

# Of the text without white space around it, where it is not a JSON text or array.
_TEXTS: _Table = (
    (r"^\z", "white space only; a JSON object is wanted"),
    (r"^b['\"]", "bytes as Python's str() writes them (b'…'); the bytes themselves are wanted"),
    (r"^\{\s*'", "single quotes, as Python's str() writes them; JSON is wanted, as of json.dumps()"),
    (r"^\w*\s*[({\[]\s*\w+\s*=", "an object as toString() writes it (name=value); JSON is wanted"),
    (r"^\{\s*[A-Za-z_$][\w$]*\s*:", "names without quotes; JSON is wanted"),
    (r"^<", "XML or HTML; a JSON object is wanted"),
    (r"^eyJ[\w+/=-]+\z", "JSON in base64; JSON itself is wanted"),
    (r"^(null|true|false|-?\d+(\.\d+)?([eE][+-]?\d+)?)\z", "a number, true, false or null; a JSON object is wanted"),
    (r"^\w+=[^&\s]*(&\w+=[^&\s]*)+\z", "form data (name=value&…); a JSON object is wanted"),
    (r"(?s)^[^{}\[\]]+[,;\t|][^{}\[\]]*\z", "a line of CSV, or text; a JSON object is wanted"),
    (r"^[^{\[]", "text that is no JSON; a JSON object is wanted"),
)

# Of the names in an object that has none of an event's fields, as ",name,name,".
_ENVELOPES: _Table = (
    ("^,,$", "an object without fields; the fields of an event are wanted"),
    (
        "^(?=.*,schema,)(?=.*,payload,)",
        "Kafka Connect's schema and payload; the payload alone is wanted (value.converter.schemas.enable=false)",
    ),
    ("^(?=.*,op,)(?=.*,(before|after),)", "a change of a row as Debezium writes it; the row alone is wanted"),
    ("^(?=.*,specversion,)", "a CloudEvent around the event; its data alone is wanted"),
    ("^,records,$", "records as for Kafka's REST proxy; each event is wanted as a record of its own"),
)
_AROUND = "an object around the event; the event alone is wanted"
_TWICE = "JSON encoded twice: a text that holds the object; the object itself is wanted"
_BASE64 = "JSON in base64 within a JSON text; the object itself is wanted"
_SEVERAL = "more than one object; each event is wanted as a record of its own"


@functools.cache
def text_of_value() -> Column:
    """The record's `value` as text, less a byte order mark before it."""
    text = F.col("value").cast("string")
    return F.when(text.startswith("\ufeff"), F.substr(text, F.lit(2))).otherwise(text)


def explained(reason: Column) -> Column:
    """The reason of a bad record. Where its value cannot be read, or has no fields, it says what the value is.

    For bad records only, after they are filtered: its functions keep Spark from compiling a stage as one.
    """
    specific = F.when(reason.isin(NO_TEXT, NO_OBJECT), _form()).when(reason.endswith(": missing"), _envelope())
    return F.coalesce(specific, reason)


@functools.cache
def _form() -> Column:
    """The form that the value has; null where it is none of the known ones."""
    bare = F.regexp_replace(text_of_value(), r"^\s+|\s+\z", "")
    form = let(bare, lambda bare: F.coalesce(_text_or_array(bare), _first(bare, _TEXTS), _spoilt_object(bare)))
    return F.coalesce(
        _first(F.hex(F.substring(F.col("value"), 1, 19)), _BYTES),
        F.when(F.is_valid_utf8(F.col("value").cast("string")), form),
    )


@functools.cache
def _envelope() -> Column:
    """What stands around the event, in an object without an event's fields; null where it is nothing known."""
    text = text_of_value()
    names = F.json_object_keys(text)
    alone = text.rlike(r'^\s*\{\s*"[^"]*"\s*:\s*\{') & (F.size(names) == 1)
    joined = F.concat(F.lit(","), F.array_join(names, ","), F.lit(","))
    return F.coalesce(_first(joined, _ENVELOPES), F.when(alone, _AROUND))


def reads(text: Column, **loosened: str) -> Column:
    """Whether a text is JSON of any kind (strict but for what is loosened) in the place of a field's value."""
    as_field = F.concat(F.lit('{"event":'), text, F.lit("}"))
    return F.from_json(as_field, "event string, corrupt string", {**STRICT, **loosened})["corrupt"].isNull()


def _text_or_array(bare: Column) -> Column:
    inner = F.from_json(F.concat(F.lit('{"event":'), bare, F.lit("}")), "event string", STRICT)["event"]
    twice = F.when(inner.rlike(r"^\s*\{") & reads(inner), _TWICE)
    of_text = F.coalesce(twice, F.when(inner.rlike(r"^eyJ[\w+/=-]+\z"), _BASE64))
    several = "an array; each event is wanted as a record of its own"
    return (
        F.when(bare.startswith('"') & reads(bare), F.coalesce(of_text, F.lit("a JSON text; a JSON object is wanted")))
        .when(bare.startswith("[") & reads(bare), several)
        .otherwise(None)
    )


def _spoilt_object(bare: Column) -> Column:
    """What spoils a text that begins as an object: each is mended in turn, and what then reads well is the cause."""
    listed = F.concat(F.lit("["), F.regexp_replace(bare, r"\}\s*,?\s*\{", "},{"), F.lit("]"))
    less = F.regexp_replace(bare, r",(\s*[}\]])", "$1")
    constants = bare.rlike("NaN|Infinity") & reads(bare, allowNonNumericNumbers="true")
    first_alone = F.from_json(bare, "event string, corrupt string", STRICT)["corrupt"].isNull()
    return (
        F.when(
            constants & reads(bare, allowNonNumericNumbers="true"),
            "NaN or Infinity, which JSON has not; null is wanted",
        )
        .when(bare.rlike(r"\}\s*,?\s*\{") & reads(listed), _SEVERAL)
        .when((less != bare) & reads(less), "a comma before a closing bracket; JSON has none there")
        .when(first_alone, "something after the object; one object is wanted")
        .when(~bare.endswith("}"), "JSON that is cut off; one whole object is wanted")
        .otherwise(None)
    )


def let(value: Column, build: Callable[[Column], Column]) -> Column:
    """What `build` makes of a value that stands in the plan once, however often it is used."""
    return F.get(F.transform(F.array(value), build), F.lit(0))


def _first(subject: Column, table: _Table) -> Column:
    """The reason beside the first pattern that matches; null where none does. One literal, since plans are costly."""
    rows = F.array(*[F.struct(F.lit(pattern).alias("pattern"), F.lit(why).alias("reason")) for pattern, why in table])
    return F.get(F.filter(rows, lambda row: F.rlike(subject, row["pattern"])), F.lit(0))["reason"]
