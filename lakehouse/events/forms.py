"""Why a value is no JSON object, in words for its sender: what was found, what is wanted. Read for bad records only."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

NO_TEXT, NO_OBJECT = "invalid UTF-8", "malformed JSON: not one object"
HALF = "half of a character: a \\u escape of two without the other"
_Table = tuple[tuple[str, str], ...]

# Of the first bytes, in hex. A registry's header is 0 and a schema's id of four bytes, or of eight; AWS Glue's is 03.
_BYTES: _Table = (
    ("(0000FEFF|FFFE0000|0000007B|7B000000)", "UTF-32; JSON in UTF-8 is wanted"),
    ("(FEFF|FFFE|007B00|7B00..00)", "UTF-16; JSON in UTF-8 is wanted"),
    (r"(00)+\Z", "zero bytes; a JSON object is wanted"),
    ("(00(..){4}|00(..){8}|030[05](..){16})7B", "a schema registry's header before JSON; JSON alone is wanted"),
    ("(00(?!7B22)(..){4}|030[05])", "a schema registry's header before Avro or Protobuf; JSON is wanted"),
    (
        "(1F8B|28B52FFD|04224D18|FF060000734E6150|82534E41505059|504B0304)",
        "compressed by the sender's own code; JSON is wanted (the producer's compression.type does no harm)",
    ),
    ("4F626A01", "an Avro file; JSON is wanted"),
    ("ACED0005", "a serialized Java object; JSON is wanted"),
    ("80(02|03|04|05)", "a Python pickle; JSON is wanted"),
)
# Of the text without white space around it, where it is not a JSON text or array.
_TEXTS: _Table = (
    (r"\Z", "white space only; a JSON object is wanted"),
    (r"b['\"]", "bytes as Python's str() writes them (b'…'); the bytes themselves are wanted"),
    (r"\{\s*'", "single quotes, as Python's str() writes them; JSON is wanted, as of json.dumps()"),
    (r"\w*\s*[({\[]\s*\w+\s*=", "an object as toString() writes it (name=value); JSON is wanted"),
    (r"\{\s*[A-Za-z_$][\w$]*\s*:", "names without quotes; JSON is wanted"),
    (r"<", "XML or HTML; a JSON object is wanted"),
    (r"eyJ[\w+/=-]+\Z", "JSON in base64; JSON itself is wanted"),
    (r"(null|true|false|-?\d+(\.\d+)?([eE][+-]?\d+)?)\Z", "a number, true, false or null; a JSON object is wanted"),
    (r"\w+=[^&\s]*(&\w+=[^&\s]*)+\Z", "form data (name=value&…); a JSON object is wanted"),
    (r"[^{}\[\]]+[,;\t|][^{}\[\]]*\Z", "a line of CSV, or text; a JSON object is wanted"),
    (r"[^{\[]", "text that is no JSON; a JSON object is wanted"),
)
_AROUND = "an object around the event; the event alone is wanted"
_TWICE = "JSON encoded twice: a text that holds the object; the object itself is wanted"
_BASE64 = "JSON in base64 within a JSON text; the object itself is wanted"
_ARRAY = "an array; each event is wanted as a record of its own"
_SEVERAL = "more than one object; each event is wanted as a record of its own"


def form_of(value: bytes) -> str:
    """What a value is that is no JSON object; NO_TEXT or NO_OBJECT where it is none of the known forms."""
    if known := _first(value[:19].hex().upper(), _BYTES):
        return known
    try:
        text = value.removeprefix(b"\xef\xbb\xbf").decode().strip()
    except UnicodeDecodeError:
        return NO_TEXT
    if text.startswith("{") and (loaded := _loads(text)) is not None and not _is_utf8(loaded):
        return HALF
    return _text_or_array(text) or _first(text, _TEXTS) or _spoilt_object(text) or NO_OBJECT


def envelope_of(fields: dict[str, Any]) -> str:
    """What stands around the event, in an object that lacks a field; empty where it is nothing known."""
    names = fields.keys()
    if not names:
        return "an object without fields; the fields of an event are wanted"
    if {"schema", "payload"} <= names:
        return "Kafka Connect's schema and payload; the payload alone is wanted (value.converter.schemas.enable=false)"
    if "op" in names and names & {"before", "after"}:
        return "a change of a row as Debezium writes it; the row alone is wanted"
    if "specversion" in names:
        return "a CloudEvent around the event; its data alone is wanted"
    if names == {"records"}:
        return "records as for Kafka's REST proxy; each event is wanted as a record of its own"
    [first, *others] = fields.values()
    return _AROUND if not others and bytes(first).lstrip().startswith(b"{") else ""


def _text_or_array(text: str) -> str:
    loaded = _loads(text) if text[:1] in ('"', "[") else None
    if isinstance(loaded, list):
        return _ARRAY
    if not isinstance(loaded, str):
        return ""
    if loaded.lstrip().startswith("{") and _loads(loaded) is not None:
        return _TWICE
    return _BASE64 if re.match(r"eyJ[\w+/=-]+\Z", loaded) else "a JSON text; a JSON object is wanted"


def _spoilt_object(text: str) -> str:
    """What spoils a text that begins as an object: each is mended in turn, and what then reads well is the cause."""
    listed = "[" + re.sub(r"\}\s*,?\s*\{", "},{", text) + "]"
    less = re.sub(r",(\s*[}\]])", r"\1", text)
    if re.search("NaN|Infinity", text) and _loads(text, constants=True) is not None:
        return "NaN or Infinity, which JSON has not; null is wanted"
    if re.search(r"\}\s*,?\s*\{", text) and _loads(listed) is not None:
        return _SEVERAL
    if less != text and _loads(less) is not None:
        return "a comma before a closing bracket; JSON has none there"
    if _begins_with_object(text):
        return "something after the object; one object is wanted"
    return "" if text.endswith("}") else "JSON that is cut off; one whole object is wanted"


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _loads(text: str, constants: bool = False) -> Any:
    """The JSON value of a text; None where it is none. With `constants`, NaN and Infinity are numbers."""
    return _tried(lambda: json.loads(text, parse_constant=None if constants else _refuse))


def _begins_with_object(text: str) -> bool:
    return _tried(lambda: json.JSONDecoder(parse_constant=_refuse).raw_decode(text)) is not None


def _tried(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ValueError, RecursionError):
        return None


def _is_utf8(loaded: Any) -> bool:
    try:
        json.dumps(loaded, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _first(subject: str, table: Iterable[tuple[str, str]]) -> str:
    """The reason beside the first pattern that the subject begins with; empty where it is none."""
    return next((reason for pattern, reason in table if re.match(pattern, subject)), "")
