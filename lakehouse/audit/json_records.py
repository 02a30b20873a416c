"""Reads records as JSON in plain Python, for the audits' own decoders: a second writing of streaming/json_values.py."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from lakehouse.kafka.reader import Record

LARGEST = 262_144  # bytes of a value
# What Spark's JSON reader takes: brackets in one another (of 1,000 the envelope has two), digits of a number, name.
DEEPEST, LONGEST_NUMBER, LONGEST_NAME = 998, 1000, 50_000
LARGEST_OFFSET = timedelta(hours=18)  # of a zone, as Java takes it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_MILLIS = re.compile(r"-?\d{1,15}", re.ASCII)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class NoEvent(Exception):
    """The record is no valid event; the message says why."""


def refuse(why: str) -> NoReturn:
    """Raise NoEvent."""
    raise NoEvent(why)


class Fraction(str):
    """A number with a fraction or an exponent, as it was written: no id, since stored it might be another."""


def read_object(record: Record, whole_characters: bool = False) -> dict[str, Any]:
    """The record's value as one JSON object. Raises NoEvent when it is anything else.

    With `whole_characters`, an object with half of a character (a \\u escape of two without the other) is none.
    """
    value = record.value or refuse("no value")
    if len(value) > LARGEST:
        refuse("too large")
    try:
        text = value.removeprefix(b"\xef\xbb\xbf").decode()
        _check_depth(text)
        event = _parse(text, _whole if whole_characters and "\\u" in text else _named)
    except ValueError:
        raise NoEvent("not JSON") from None
    return event if isinstance(event, dict) else refuse("not one object")


def _parse(text: str, hook: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> Any:
    """The JSON value, read as deep as Spark reads, whatever Python's own limit is."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 4 * DEEPEST))
    try:
        return json.loads(
            text, parse_constant=refuse, parse_float=_fraction, parse_int=_integer, object_pairs_hook=hook
        )
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


def _integer(text: str) -> str:
    _check_length(text)
    return "0" if text == "-0" else text


def _fraction(text: str) -> Fraction:
    _check_length(text)
    return Fraction(text)


def _check_length(number: str) -> None:
    digits = sum(map(str.isdigit, number)) - number.removeprefix("-").startswith("0.")  # this 0 does not count
    if digits > LONGEST_NUMBER:
        raise ValueError("too long a number")


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if any(len(name) > LONGEST_NAME for name, _ in pairs):
        raise ValueError("a name is too long")
    return dict(pairs)


def _whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    try:
        json.dumps(pairs, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        refuse("half of a character")
    return _named(pairs)


def text_of(value: Any) -> str | None:
    """A value as Spark reads it into a text; a number stays as it was written."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, str) else json.dumps(value)


def id_of(raw: Mapping[str, Any], name: str) -> str:
    """The field as the text of an id; empty when it is missing.

    Raises NoEvent where it was neither a text nor a whole number.
    """
    value = raw.get(name)
    if isinstance(value, Fraction | list | dict):
        refuse(f"{name}: neither a text nor a whole number")
    return text_of(value) or ""


def recorded_at(record: Record) -> datetime:
    """The record's own timestamp."""
    return _EPOCH + timedelta(milliseconds=record.millis)


def time_of(text: str) -> datetime:
    """An ISO 8601 time, in UTC where it names no zone, or epoch milliseconds. Raises NoEvent for anything else."""
    try:
        if _MILLIS.fullmatch(text):
            return _EPOCH + timedelta(milliseconds=int(text))
        if not _TIME.fullmatch(text):
            refuse("not a time")
        whole, fraction, rest = (*re.split(r"(\.\d+)", text), "", "")[:3]
        moment = datetime.fromisoformat(whole + fraction[:7].ljust(7, "0") + rest if fraction else text)
        if abs(moment.utcoffset() or timedelta()) > LARGEST_OFFSET:
            refuse("not a time")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NoEvent("not a time") from None
