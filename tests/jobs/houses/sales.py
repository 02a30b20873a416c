"""Builders of sale events and Kafka records with defaults, so that a test says only what matters to it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RECORDS = "topic string, partition int, offset bigint, timestamp timestamp, key binary, value binary"
PLAIN_FIELDS = (
    "id",
    "price",
    "bedrooms",
    "bathrooms",
    "sqft_living",
    "sqft_lot",
    "floors",
    "waterfront",
    "view",
    "yr_built",
)


def event(**changes: Any) -> dict[str, Any]:
    """A good sale as the producer sends it, sold at noon; `changes` replace fields."""
    return {
        "id": "7129300520",
        "price": 221900,
        "bedrooms": 3,
        "bathrooms": 1.0,
        "sqft_living": 1180,
        "sqft_lot": 5650,
        "floors": 1.0,
        "waterfront": 0,
        "view": 0,
        "yr_built": 1955,
        "condition": 3,
        "grade": 7,
        "sqft_above": 1180,
        "sqft_basement": 0,
        "yr_renovated": 0,
        "zipcode": 98178,
        "lat": 47.5112,
        "long": -122.257,
        "sqft_living15": 1340,
        "sqft_lot15": 5650,
        "listed_at": "2014-10-13T00:00:00.000Z",
        "sold_at": "2026-11-22T12:00:00.000Z",
        "event_id": "e-1",
        **changes,
    }


def plain(**changes: Any) -> dict[str, Any]:
    """A good sale in the short form: ten fields, no times, no event id."""
    return {**{name: event()[name] for name in PLAIN_FIELDS}, **changes}


def record(value: Any, offset: int = 0, partition: int = 0, after: float = 1.0) -> tuple[Any, ...]:
    """A Kafka record of topic houses, stamped `after` seconds past noon; a dict becomes JSON, bytes and None stay."""
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    data = None if raw is None else bytearray(raw)
    return ("houses", partition, offset, NOON + timedelta(seconds=after), None, data)


def at(seconds: float) -> str:
    """ISO time that many seconds past noon."""
    return (NOON + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
