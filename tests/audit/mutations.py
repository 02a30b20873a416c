"""Sales with something wrong, or perhaps not: drawn from seeded dice. Whether one is still a sale, the oracle says."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cases.forms import IDS as WHOLE_IDS
from tests.cases.forms import NO_IDS, forms
from tests.jobs.houses.oracle import KNOWN

MOST = 4 * 1024 * 1024 - 4096  # what the topic takes, less the record's own bytes
NUMBERS = ["-1", "0", "-0.0", "1", "1.0", "3.5", "1e0", "1E+2", "0.005", "1e-400", "1e308", "1e999", "-1e999"]
NUMBERS += ["2147483648", "9223372036854775808", "-0", "98549320.0", "2.5e9"]
ODD = ["null", "true", "false", '""', '"x"', "[]", "{}", "[3]", '{"a":1}']
ODD += ['"NaN"', '"Infinity"', '"1"', '" 1 "', '"1f"']
RAW = ["NaN", "Infinity", "-Infinity", "+1", "01", ".5", "1.", "0x1", "1_000", "1" * 500, "1" * 1500, "nul", "'1'", ""]
TIMES = [
    *("2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1999-12-31T23:59:59.999999999Z"),
    *("9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z"),
    *("2026-01-01T23:59:60Z", "2026-01-01T00:00:00Z\n", "2026-01-01", "2026-01-01T00:00", "2026-01-01 00:00:00"),
    *("2026-01-01T00:00:00+18:00", "2026-01-01T00:00:00+18:01", "2026-01-01T00:00:00-05:75", "now", "epoch", "today"),
    *("2026-01-01T00:00:00.123456789Z", "２０２６-01-01T00:00:00Z", " 2026-01-01T00:00:00Z", "9223372036854775807"),
    *("1767225600000", "1767225600", "-1", "0", "999999999999999", "-999999999999999", "1767225600000.5"),
]
IDS = ["71\n", "../../etc", "0071", "000", "71.0", "7e1", "a" * 64, "a" * 65, "７１", "a\u0000b", "-", "*"]
IDS += ["x' OR 1=1 --", "<img src=x onerror=alert(1)>", "=HYPERLINK(1)"]


STAMPS = [1, 86_400_000, 946_684_799_999, 4_070_908_800_000, 2**63 - 1]  # 1970, 1999, 2099: the broker takes none


@dataclass(frozen=True)
class Record:
    """What is sent: timestamp in milliseconds, None for now."""

    value: bytes | None
    key: bytes | None = b"k"
    timestamp: int | None = None


def mutate(dice: random.Random, event: dict[str, Any]) -> Record:
    """The event's record after one mutation drawn at random; now and then a second one upon it."""
    value = dice.choice(MUTATIONS)(dice, event)
    if value and dice.random() < 0.1:
        value = _flip(dice, value)
    key = dice.choice([b"k", None, b"", dice.randbytes(8)])
    return Record(value, key, dice.choice(STAMPS) if dice.random() < 0.02 else None)


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def _flip(dice: random.Random, value: bytes) -> bytes:
    changed = bytearray(value)
    for _ in range(dice.randint(1, 3)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def bits(dice: random.Random, event: dict[str, Any]) -> bytes:
    return _flip(dice, _json(event))


def truncated(dice: random.Random, event: dict[str, Any]) -> bytes:
    value = _json(event)
    return value[: dice.randrange(len(value))]


def inserted(dice: random.Random, event: dict[str, Any]) -> bytes:
    value, at = _json(event), dice.randrange(500)
    return value[:at] + dice.randbytes(dice.randint(1, 8)) + value[at:]


def moved(dice: random.Random, event: dict[str, Any]) -> bytes:
    """A chunk left out, doubled or exchanged with its neighbour."""
    value, (a, b, c) = _json(event), sorted(dice.sample(range(400), 3))
    return value[:a] + dice.choice([b"", value[a:b] * 2, value[b:c] + value[a:b]]) + value[c:]


def prefixed(dice: random.Random, event: dict[str, Any]) -> bytes:
    framed = b"\x00" + dice.randrange(1000).to_bytes(4, "big")  # as a schema registry's clients do
    return dice.choice([framed, b"\xef\xbb\xbf", b" \n", b"[", b"{}", b",", b"\x00", b"//\n", b"null"]) + _json(event)


def wrapped(dice: random.Random, event: dict[str, Any]) -> bytes:
    """In a form that senders make: encoded otherwise, in an envelope, as another program's text."""
    value, _reason = dice.choice(forms(event))
    return value


def suffixed(dice: random.Random, event: dict[str, Any]) -> bytes:
    value = _json(event)
    inside = [b'],"event":[' + value, b'],"x":[1', b"]}", b'],"event":[{', b"," + value, b'},"in":{"x":1']
    return value + dice.choice([*inside, b"}", b"\n", b" ", b"\x00", b"x", value, b"//", b",", b"]", b"\n" + value])


def huge(dice: random.Random, event: dict[str, Any]) -> bytes:
    """Padded to around the pipeline's limit or, rarely, to the topic's."""
    size = dice.choice([1_000_000, MOST]) if dice.random() < 0.1 else dice.choice([200_000, 262_144, 262_145])
    padding = size - len(_json({**event, "note": ""}))
    return dice.choice([_json({**event, "note": "x" * padding}), _json(event).ljust(size), b"\x00" * size])


def nested(dice: random.Random, event: dict[str, Any]) -> bytes:
    depth = dice.choice([10, 500, 900, 1200, 100_000])
    opening, closing = dice.choice([(b"[", b"]"), (b'{"a":', b"}")]) if depth < 20_000 else (b"[", b"]")
    deep = opening * depth + b"1" + closing * depth
    name = dice.choice([b"note", b"price", b"event_id", b"grade"])
    return dice.choice([deep, _json(event)[:-1] + b',"' + name + b'":' + deep + b"}", opening * depth])


def retyped(dice: random.Random, event: dict[str, Any]) -> bytes:
    """Another value for a field: a number, another type, or what is no JSON at all."""
    name = dice.choice(list(KNOWN))
    marked = _json({**event, name: "\u0001"})
    return marked.replace(b'"\\u0001"', dice.choice([*NUMBERS, *ODD, *RAW]).encode())


def doubled(dice: random.Random, event: dict[str, Any]) -> bytes:
    """A field twice, with another value before or after its own."""
    pair = f'"{dice.choice(list(KNOWN))}":{dice.choice([*NUMBERS, *ODD])}'.encode()
    value = _json(event)
    return b"{" + pair + b"," + value[1:] if dice.random() < 0.5 else value[:-1] + b"," + pair + b"}"


def reduced(dice: random.Random, event: dict[str, Any]) -> bytes:
    gone = dice.choice(list(event))
    return _json({name: value for name, value in event.items() if name != gone})


def renamed(dice: random.Random, event: dict[str, Any]) -> bytes:
    name = dice.choice(list(event))
    other = dice.choice([name.upper(), f" {name}", f"{name}\u0000", "x" * 60_000])
    return _json({other if key == name else key: value for key, value in event.items()})


def timed(dice: random.Random, event: dict[str, Any]) -> bytes:
    text = dice.choice(TIMES)
    as_number = text.lstrip("-").isdigit() and text.isascii() and dice.random() < 0.5
    return _json({**event, dice.choice(["sold_at", "listed_at"]): int(text) if as_number else text})


def identified(dice: random.Random, event: dict[str, Any]) -> bytes:
    if dice.random() < 0.5:
        return _json({**event, "id": dice.choice(IDS)})
    marked = _json({**event, dice.choice(["id", "event_id"]): "\u0001"})
    return marked.replace(b'"\\u0001"', dice.choice([*NO_IDS, *WHOLE_IDS]).encode())


def misencoded(dice: random.Random, event: dict[str, Any]) -> bytes:
    wrong = dice.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xe2\x80\xa8", b"\x1b"])
    return _json({**event, "note": "MARK"}).replace(b"MARK", wrong)


def nothing(dice: random.Random, _event: dict[str, Any]) -> bytes | None:
    return dice.choice([None, b"", b" ", b"null", b"[]", b"{}", b'""', b"0", dice.randbytes(40)])


def untouched(_dice: random.Random, event: dict[str, Any]) -> bytes:
    return json.dumps(event, indent=1).encode()


MUTATIONS: list[Callable[[random.Random, dict[str, Any]], bytes | None]] = [
    *(
        bits,
        truncated,
        inserted,
        moved,
        prefixed,
        wrapped,
        suffixed,
        huge,
        nested,
        retyped,
        retyped,
        retyped,
        doubled,
        doubled,
    ),
    *(reduced, renamed, timed, timed, identified, misencoded, nothing, untouched),
]
