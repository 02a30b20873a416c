"""Builders of events and Kafka records with defaults, so that a test says only what matters to it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RECORDS = "topic string, partition int, offset bigint, timestamp timestamp, key binary, value binary"
LATE = "happened_at: more than 5 minutes after the record's timestamp; a time without a zone is UTC"
GOOD: list[Any] = [
    {},
    {"id": 71},
    {"id": 71.0},
    {"id": "a_B-9"},
    {"quantity": "12"},
    {"quantity": 12.0},
    {"quantity": -1_000_000},
    {"event_id": None},
    {"happened_at": None},
    {"happened_at": "2026-11-22T13:00:00.5+01:00"},
    {"happened_at": 1795348800000},
    {"unknown": {"deep": [1, 2]}},
]
BAD: list[tuple[Any, str]] = [
    (None, "null value"),
    (b"", "empty value"),
    (b"\xff", "invalid UTF-8"),
    (b'{"id": "a"', "JSON that is cut off; one whole object is wanted"),
    ({"id": None}, "id: missing"),
    ({"id": 71.5}, "id: a number with a fraction; a text or a whole number is wanted"),
    ({"id": "with blank"}, "id: not 1 to 64 letters, digits, - or _"),
    ({"event_id": "x" * 65}, "event_id: not 1 to 64 letters, digits, - or _"),
    ({"quantity": None}, "quantity: missing"),
    ({"quantity": 1.5}, "quantity: a number with a fraction, not a whole number"),
    ({"quantity": True}, "quantity: true or false, not a whole number"),
    ({"quantity": 1_000_001}, "quantity: out of bounds (-1000000 to 1000000)"),
    ({"happened_at": "noon"}, "happened_at: a text, not a time (ISO 8601 or epoch milliseconds)"),
    ({"happened_at": "1999-12-31T23:59:59Z"}, "happened_at: before 2000-01-01"),
    ({"happened_at": "2026-11-22T12:05:01Z"}, LATE),
]


def event(**changes: Any) -> dict[str, Any]:
    """A good event that happened at noon; `changes` replace fields."""
    good = {"event_id": "e-1", "id": "thing-1", "quantity": 5, "happened_at": NOON.isoformat()}
    return {**good, **changes}


def value(sent: Any) -> bytes | None:
    """What the topic has of bytes, of nothing, or of an event with these changes."""
    return json.dumps(event(**sent)).encode() if isinstance(sent, dict) else sent


def record(sent: Any, offset: int) -> tuple[Any, ...]:
    """A row of RECORDS, recorded at noon."""
    return ("example", 0, offset, NOON, b"thing-1", value(sent))


def at(seconds: float) -> str:
    """The time that many seconds past noon."""
    return (NOON + timedelta(seconds=seconds)).isoformat()
