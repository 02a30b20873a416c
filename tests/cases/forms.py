"""An event in forms that are no event of ours, as senders make them, and the reason that each is to get."""

import base64
import gzip
import json
import pickle
from typing import Any

JSON, OWN = "a JSON object is wanted", "each event is wanted as a record of its own"
UTF16, UTF32 = "UTF-16; JSON in UTF-8 is wanted", "UTF-32; JSON in UTF-8 is wanted"
HEADER_JSON = "a schema registry's header before JSON; JSON alone is wanted"
HEADER = "a schema registry's header before Avro or Protobuf; JSON is wanted"
PACKED = "compressed by the sender's own code; JSON is wanted (the producer's compression.type does no harm)"
CONNECT = "Kafka Connect's schema and payload; the payload alone is wanted (value.converter.schemas.enable=false)"
TO_STRING = "an object as toString() writes it (name=value); JSON is wanted"
CSV, OTHER = f"a line of CSV, or text; {JSON}", f"text that is no JSON; {JSON}"


def forms(event: dict[str, Any]) -> list[tuple[bytes, str]]:
    """(value, reason) of the event in each form."""
    text = json.dumps(event)
    value, quoted = text.encode(), json.dumps(text).encode()
    return [
        *_encoded(text, value),
        *((form, f"more than one object; {OWN}") for form in (value + b"\n" + value, value * 2, value + b"," + value)),
        *((form, f"an array; {OWN}") for form in (b"[" + value + b"]", b"[]", b"[" + value + b"," + value + b"]\n")),
        (quoted, "JSON encoded twice: a text that holds the object; the object itself is wanted"),
        (b'"' + base64.b64encode(value) + b'"', "JSON in base64 within a JSON text; the object itself is wanted"),
        (base64.b64encode(value), "JSON in base64; JSON itself is wanted"),
        (b'"{"', f"a JSON text; {JSON}"),
        *((form, f"a number, true, false or null; {JSON}") for form in (b"12", b"-1.5e3", b"true", b"null")),
        *((form, f"white space only; {JSON}") for form in (b" \n", b"\xef\xbb\xbf")),
        (str(event).encode(), "single quotes, as Python's str() writes them; JSON is wanted, as of json.dumps()"),
        (str(value).encode(), "bytes as Python's str() writes them (b'…'); the bytes themselves are wanted"),
        *((form, TO_STRING) for form in (b"Sale(id=71, price=3)", b"{id=71, price=3}", b"Struct{id=71}")),
        (b"{id: 71}", "names without quotes; JSON is wanted"),
        (value[:-1] + b', "x": NaN}', "NaN or Infinity, which JSON has not; null is wanted"),
        (value[:-1] + b',\n}', "a comma before a closing bracket; JSON has none there"),
        (value[:-1], "JSON that is cut off; one whole object is wanted"),
        *((value + form, "something after the object; one object is wanted") for form in (b"}", b" x", b"]} and more")),
        (b'<?xml version="1.0"?><sale/>', f"XML or HTML; {JSON}"),
        *((form, CSV) for form in (b"71,221900,3", b'"71";"221900"', b"id\tprice")),
        (b"id=71&price=3", f"form data (name=value&\u2026); {JSON}"),
        *((form, OTHER) for form in (b"hello", b"// note\n" + value)),
        *((form, "malformed JSON: not one object") for form in (b'{"a":01}', b'{"a" 1}')),
        *_enveloped(event),
    ]  # fmt: skip


def _encoded(text: str, value: bytes) -> list[tuple[bytes, str]]:
    return [
        *((text.encode(name), UTF16) for name in ("utf-16", "utf-16-le", "utf-16-be")),
        *((text.encode(name), UTF32) for name in ("utf-32", "utf-32-le", "utf-32-be")),
        *(
            (start + value, HEADER_JSON)
            for start in (b"\x00\x00\x00\x00\x07", bytes(8) + b"\x07", b"\x03\x00" + b"x" * 16)
        ),
        *((b"\x00\x00\x00\x01\x07" + rest, HEADER) for rest in (b"\x02\x80\xff", b"\x1471\x06")),
        (bytes(100), f"zero bytes; {JSON}"),
        (gzip.compress(value), PACKED),
        (pickle.dumps(text), "a Python pickle; JSON is wanted"),
        (b"\xac\xed\x00\x05sr", "a serialized Java object; JSON is wanted"),
        (b"Obj\x01\x04", "an Avro file; JSON is wanted"),
        ('{"a":"é"}'.encode("latin-1"), "invalid UTF-8"),
    ]


def _enveloped(event: dict[str, Any]) -> list[tuple[bytes, str]]:
    around = [
        ({}, "an object without fields; the fields of an event are wanted"),
        ({"schema": {"type": "struct"}, "payload": event}, CONNECT),
        (
            {"op": "c", "before": None, "after": event},
            "a change of a row as Debezium writes it; the row alone is wanted",
        ),
        ({"specversion": "1.0", "data": event}, "a CloudEvent around the event; its data alone is wanted"),
        ({"records": [{"value": event}]}, f"records as for Kafka's REST proxy; {OWN}"),
        ({"data": event}, "an object around the event; the event alone is wanted"),
    ]
    return [(json.dumps(value).encode(), reason) for value, reason in around]


# In the place of an id: a number that is none with what is said of it, and what is one with the id that it is.
FRACTION, HUGE = "a number with a fraction", "a number of more than 256 digits"
NO_IDS = {"0.10": FRACTION, "71.5": FRACTION, "1e-3": FRACTION, "1e400": HUGE, "-1e400": HUGE, "true": "true or false"}
NO_IDS |= {"[1.0]": "an array", "[]": "an array", '{"a":98549320.0}': "an object"}
IDS = {
    "71": "71",
    "0": "0",
    "-0": "0",
    "-0.0": "0",
    "71.0": "71",
    "7e1": "70",
    "1E+3": "1000",
    "98549320.0": "98549320",
}
IDS |= {"12345678901234567890": "12345678901234567890", "1234567890123456789.0": "1234567890123456789"}
IDS |= {'"9.5E7"': "9.5E7", '"71.0"': "71", '"1e3"': "1e3", '"[1.0]"': "[1.0]", '"true"': "true"}
