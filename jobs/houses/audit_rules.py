"""What a valid sale is, written a second time for `lake audit`: plain Python, from the bytes, no code of the pipeline.

When a rule changes, change it here and in transforms.py or schema.py (bounds); where the two differ, the audit says so.
"""

import json
import re
import sys
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

Sale = dict[str, Any]
LARGEST_VALUE = 262_144
MARK = b"\xef\xbb\xbf"  # a byte order mark, which some senders write before their JSON
DEEPEST = 997  # brackets within a value; Spark's JSON reader takes 1,000 in all
LONGEST_NUMBER = 1000
LONGEST_NAME = 50_000  # of a field, at any depth: Spark's JSON reader takes no longer one
AHEAD = 5 * 60 * 1_000_000
YEAR_1900, YEAR_2200 = -2_208_988_800_000_000, 7_258_118_400_000_000  # microseconds, as all times here
YEAR_2000 = 946_684_800_000_000
CENT = Decimal("0.01")

# Name -> kind, needed, lowest, highest.
NUMBERS: dict[str, tuple[str, bool, float, float]] = {
    "price": ("money", True, 0.01, 100_000_000),
    "bedrooms": ("whole", True, 0, 100),
    "bathrooms": ("real", True, 0, 100),
    "sqft_living": ("whole", True, 1, 1_000_000),
    "sqft_lot": ("whole", True, 0, 1_000_000_000),
    "floors": ("real", True, 0, 200),
    "waterfront": ("flag", True, 0, 1),
    "view": ("whole", True, 0, 4),
    "yr_built": ("whole", True, 1800, 2100),
    "condition": ("whole", False, 1, 5),
    "grade": ("whole", False, 1, 13),
    "sqft_above": ("whole", False, 0, 1_000_000),
    "sqft_basement": ("whole", False, 0, 1_000_000),
    "yr_renovated": ("whole", False, 0, 2100),
    "zipcode": ("whole", False, 0, 99999),
    "lat": ("real", False, -90, 90),
    "long": ("real", False, -180, 180),
    "sqft_living15": ("whole", False, 0, 1_000_000),
    "sqft_lot15": ("whole", False, 0, 1_000_000_000),
}
TIMES = ("listed_at", "sold_at")

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_FRACTION = re.compile(r"[0-9][.eE]")
_LOOSE = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
LONG_NUMBER = re.compile(r"[0-9.eE+-]{1003}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOUSE_NUMBER = re.compile(r"0*([0-9]+)(\.0+)?")
_MILLIS = re.compile(r"-?[0-9]{1,15}")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))?"
)


class NoSale(Exception):
    """The record is no valid sale; the message says why."""


def _refuse(why: str) -> Any:
    raise NoSale(why)


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if any(len(name) > LONGEST_NAME for name, _ in pairs):
        raise ValueError("a name is too long")
    return dict(pairs)


_DECODER = json.JSONDecoder(parse_constant=lambda name: _refuse(f"{name} is no JSON"), object_pairs_hook=_named)


def sale(value: bytes | None, recorded_at: int) -> Sale:
    """The sale in a record: its fields, and event_at; times in microseconds. Raises NoSale where there is none."""
    if not value:
        raise NoSale("no value")
    if len(value) > LARGEST_VALUE:
        _refuse("too large")
    raw = _object(value)
    event: Sale = {"id": _house_id(_id(raw, "id"))}
    for name in NUMBERS:
        event[name] = _number(name, raw.get(name, "null"))
    for name in TIMES:
        event[name] = _time(name, raw.get(name, "null"))
    event["event_id"] = _text(_id(raw, "event_id"))
    if event["event_id"] is not None and not 1 <= len(event["event_id"]) <= 128:
        _refuse("event_id: length")
    event["event_at"] = recorded_at if event["sold_at"] is None else event["sold_at"]
    if not YEAR_2000 <= event["event_at"] <= recorded_at + AHEAD:
        _refuse("event time out of bounds")
    return event


def _object(value: bytes) -> dict[str, str]:
    """Names and raw values of the object that the bytes are; of a name that stands there twice the last counts."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 4 * DEEPEST))
    try:
        return dict(_members(value.removeprefix(MARK).decode()))
    except UnicodeDecodeError:
        raise NoSale("not UTF-8") from None
    except (ValueError, RecursionError):
        raise NoSale("not one JSON object") from None
    finally:
        sys.setrecursionlimit(before)


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Names and raw values of the one object that the text is. Raises ValueError when it is anything else."""
    at = _after(text, _skip(text, 0), "{")
    while text[at : at + 1] != "}":
        name, at = scanstring(text, _after(text, at, '"'), True)
        start = _skip(text, _after(text, _skip(text, at), ":"))
        _value, end = _DECODER.raw_decode(text, start)
        raw = text[start:end]
        _check(name, raw)
        _named([(name, raw)])
        yield name, raw
        at = _skip(text, end)
        if text[at : at + 1] != "}":
            at = _skip(text, _after(text, at, ","))
            if text[at : at + 1] == "}":
                raise ValueError("a comma before the end")
    if _skip(text, at + 1) != len(text):
        raise ValueError("something after the object")


def _check(name: str, raw: str) -> None:
    """A value that a strict reader cannot take spoils the record, even where the same name comes again later."""
    if name in NUMBERS and name != "waterfront" and raw != "null" and not _NUMBER.fullmatch(raw):
        raise ValueError(f"{name} is no number")
    depth = deepest = 0
    if raw[0] in "[{":
        for bracket in re.findall(r"[\[\]{}]", _QUOTED.sub("", raw)):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket, 0)
            deepest = max(deepest, depth)
    if deepest > DEEPEST or (len(raw) > LONGEST_NUMBER and LONG_NUMBER.search(_QUOTED.sub('""', raw))):
        raise ValueError(f"{name} is nested too deep, or has too long a number")


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _after(text: str, at: int, expected: str) -> int:
    if text[at : at + 1] != expected:
        raise ValueError(f"{expected} expected at {at}")
    return _skip(text, at + 1) if expected != '"' else at + 1


def _text(raw: str) -> str | None:
    """The value as a text: other kinds as Spark writes them out again, null as None."""
    value = json.loads(raw)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return _as_java(value)
    return None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _as_java(value: float) -> str:
    """A double as Java writes it: 1.0E7 from ten million on, and below a thousandth."""
    if value in (float("inf"), float("-inf")):
        return f'"{"-" if value < 0 else ""}Infinity"'
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{int(exponent) + len(digits) - 1}"


def _id(raw: dict[str, str], name: str) -> str:
    """The raw id. A number with a fraction or an exponent is refused: stored, it might be another id."""
    value = raw.get(name, "null")
    if value[0] in "[{" or (value[0] != '"' and _FRACTION.search(value)):
        _refuse(f"{name}: neither a text nor a whole number")
    return value


def _house_id(raw: str) -> str:
    text = _text(raw) or ""
    plain = _HOUSE_NUMBER.fullmatch(text)
    text = plain[1] if plain else text
    return text if _ID.fullmatch(text) else _refuse("id")


def _number(name: str, raw: str) -> Any:
    kind, needed, low, high = NUMBERS[name]
    if raw == "null":
        return _refuse(f"{name}: missing") if needed else None
    if kind == "flag":
        text = _text(raw) or ""
        raw = {"true": "1", "false": "0"}.get(text, text)
        if not _LOOSE.fullmatch(raw):
            _refuse(f"{name}: not a number")
    number = float(raw)
    if not low <= number <= high and kind != "money":
        _refuse(f"{name}: out of bounds")
    if kind == "real":
        return number
    if kind == "money":
        return _money(name, number, low, high)
    return int(number) if number == int(number) else _refuse(f"{name}: not whole")


def _money(name: str, number: float, low: float, high: float) -> Decimal:
    if not abs(number) < 1e10:
        _refuse(f"{name}: out of bounds")
    amount = Decimal(repr(number)).quantize(CENT, ROUND_HALF_UP)
    return amount if Decimal(repr(low)) <= amount <= Decimal(repr(high)) else _refuse(f"{name}: out of bounds")


def _time(name: str, raw: str) -> int | None:
    text = _text(raw)
    if text is None:
        return None
    parts = _TIME.fullmatch(text)
    try:
        if _MILLIS.fullmatch(text):
            micros = int(text) * 1000
        else:
            micros = _micros(*parts.groups()) if parts else int(_refuse(f"{name}: not a time"))
    except ValueError:
        raise NoSale(f"{name}: not a time") from None
    return micros if YEAR_1900 <= micros <= YEAR_2200 else int(_refuse(f"{name}: too far away"))


def _micros(*parts: str | None) -> int:
    year, month, day, hour, minute, second = (int(part or 0) for part in parts[:6])
    days = date(year or 400, month, day).toordinal() - (0 if year else 146_097) - date(1970, 1, 1).toordinal()
    sign, zone_hours, zone_minutes = parts[7], int(parts[8] or 0), int(parts[9] or 0)
    zone = zone_hours * 60 + zone_minutes
    if hour > 23 or minute > 59 or second > 59 or zone > 18 * 60 or zone_minutes > 59:
        raise ValueError("no such time")
    seconds = ((days * 24 + hour) * 60 + minute - (-zone if sign == "-" else zone)) * 60 + second
    return seconds * 1_000_000 + int((parts[6] or "").ljust(6, "0")[:6])
