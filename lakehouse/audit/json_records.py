"""Reads records as JSON in plain Python, for the audits' own decoders: which forms of values are taken, a second time.

The pipeline has the same rules in lakehouse/events, by another library. Numbers stay as they were written until a field
says what they are, so ids and amounts are exact.
"""

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any, NoReturn

from lakehouse.audit import iso_times
from lakehouse.kafka.reader import Record

LARGEST = 262_144  # bytes of a value
DEEPEST = 500  # brackets within brackets
MARK = b"\xef\xbb\xbf"  # a byte order mark, which some senders write before their JSON
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CENT = Decimal("0.01")
# As milliseconds these are weeks of 1970; as seconds they are the years 2000 to 2200.
_SECONDS = (Decimal(946_684_800), Decimal(7_258_118_400))
_LONGEST_ID = 256  # digits
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])  # what is beyond it is infinite
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DIGITS_AND_ZEROS = re.compile(r"(-?[0-9]+)\.0+")  # an id out of a column of floats
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
# An escape that stands for a whole character: all but a \u of one half without the other.
_WHOLE_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|\\[^u]", re.DOTALL
)


class NoEvent(Exception):
    """The record is no valid event; the message says why."""


def refuse(why: str) -> NoReturn:
    """Raise NoEvent."""
    raise NoEvent(why)


class Number(str):
    """A JSON number, as it was written."""


def read_object(record: Record) -> dict[str, Any]:
    """The record's value as one JSON object, its numbers as Number. Raises NoEvent when it is anything else."""
    return object_of(record.value)


def object_of(value: bytes | None) -> dict[str, Any]:
    """The bytes as one JSON object, its numbers as Number. Raises NoEvent when they are anything else.

    Of a name that stands there twice the last value counts.
    """
    if not value:
        refuse("no value")
    if len(value) > LARGEST:
        refuse("too large")
    try:
        text = value.removeprefix(MARK).decode()
        _check_depth(text)
        event = _parse(text)
    except ValueError:
        raise NoEvent("not JSON") from None
    if "\\" in _WHOLE_ESCAPE.sub("", text):
        refuse("half of a character")
    return event if isinstance(event, dict) else refuse("not one object")


def _parse(text: str) -> Any:
    """The JSON value, read as deep as is allowed, whatever Python's own limit is."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 4 * DEEPEST))
    try:
        return json.loads(text, parse_constant=refuse, parse_float=Number, parse_int=Number)
    finally:
        sys.setrecursionlimit(before)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for bracket in _BRACKET.findall(_QUOTED.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            raise ValueError("nested too deep")


def text_of(value: Any) -> str | None:
    """A value as a text: a number as it was written, null as None."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, str) else json.dumps(value)


def id_of(raw: Mapping[str, Any], name: str) -> str:
    """The field as the text of an id; empty when it is missing. A whole number is its digits, however it was written.

    Raises NoEvent where it was neither a text nor a whole number.
    """
    value = raw.get(name)
    if isinstance(value, Number):
        return _digits(value) or refuse(f"{name}: not a whole number")
    if isinstance(value, str):
        zeros = _DIGITS_AND_ZEROS.fullmatch(value)
        return zeros[1] if zeros else value
    return "" if value is None else refuse(f"{name}: neither a text nor a whole number")


def _digits(number: str) -> str:
    """The digits of a whole number; empty for any other."""
    exact = _EXACT.create_decimal(number)
    if not exact.is_finite() or exact.adjusted() > _LONGEST_ID or exact != exact.to_integral_value(ROUND_FLOOR):
        return ""
    return str(int(exact))


def number_of(raw: Mapping[str, Any], name: str) -> str | None:
    """The field's number as it was written, in JSON or in a text; None where it is missing. Raises NoEvent."""
    value = raw.get(name)
    if value is None or isinstance(value, Number):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return value
    return None if isinstance(value, str) and value.lower() == "null" else refuse(f"{name}: not a number")


def real_of(raw: Mapping[str, Any], name: str) -> float | None:
    """The field as the nearest double, infinite where it is too large for one; None where it is missing."""
    number = number_of(raw, name)
    return None if number is None else float(number)


def whole_of(raw: Mapping[str, Any], name: str) -> int | None:
    """The field as a whole number: 3, 3.0, 3E0 or a text of these; None where it is missing. Raises NoEvent."""
    number = real_of(raw, name)
    if number is None:
        return None
    return int(number) if number.is_integer() else refuse(f"{name}: not whole")


def flag_of(raw: Mapping[str, Any], name: str) -> int | None:
    """The field as 0 or 1: a whole number, true or false, also as texts; None where it is missing. Raises NoEvent."""
    value = (text_of(raw.get(name)) or "").lower()
    flag = int(value == "true") if value in ("true", "false") else whole_of(raw, name)
    return flag if flag in (None, 0, 1) else refuse(f"{name}: neither 0 nor 1")


def money_of(raw: Mapping[str, Any], name: str) -> Decimal | None:
    """The field in whole cents, half a cent upwards, by its own digits; None where it is missing. Raises NoEvent."""
    number = number_of(raw, name)
    if number is None:
        return None
    amount = _EXACT.create_decimal(number)
    if not amount.is_finite() or amount.adjusted() > 15:
        refuse(f"{name}: out of bounds")
    return amount.quantize(CENT, ROUND_HALF_UP)


def recorded_at(record: Record) -> datetime:
    """The record's own timestamp."""
    return EPOCH + timedelta(milliseconds=record.millis)


def time_of(text: str, day_is_taken: bool = False) -> datetime:
    """As `micros_of`, as a datetime in UTC."""
    return EPOCH + timedelta(microseconds=micros_of(text, day_is_taken))


def micros_of(text: str, day_is_taken: bool = False) -> int:
    """Microseconds since 1970 of ISO 8601 (UTC where no zone is named) or of epoch milliseconds, a text or a Number.

    `day_is_taken`: a day alone is its first instant in UTC. Raises NoEvent for anything else.
    """
    try:
        if day_is_taken and not isinstance(text, Number) and (day := iso_times.day(text)) is not None:
            return day
        return _of_millis(text) if _NUMBER.fullmatch(text) else iso_times.micros(text)
    except ValueError:
        raise NoEvent("not a time") from None


def _of_millis(number: str) -> int:
    millis = _EXACT.create_decimal(number)
    if not millis.is_finite() or millis.adjusted() > 15 or _SECONDS[0] <= abs(millis) <= _SECONDS[1]:
        raise ValueError("not milliseconds")
    return iso_times.checked(int(_EXACT.scaleb(millis, 3).to_integral_value(ROUND_FLOOR)))
