"""What a valid sale is, written a second time for `lake audit`: plain Python, from the bytes, no code of the pipeline.

When a rule changes, change it here and in events.py or transforms.py; where the two differ, the audit says so.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from lakehouse.audit import json_records
from lakehouse.audit.json_records import NoEvent as NoSale
from lakehouse.audit.json_records import refuse

Sale = dict[str, Any]
AHEAD = 5 * 60 * 1_000_000
YEAR_1900, YEAR_2200 = -2_208_988_800_000_000, 7_258_118_400_000_000  # microseconds, as all times here
YEAR_2000 = 946_684_800_000_000

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

_READ: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    "money": json_records.money_of,
    "whole": json_records.whole_of,
    "real": json_records.real_of,
    "flag": json_records.flag_of,
}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOUSE_NUMBER = re.compile(r"0*([0-9]+)")


def sale(value: bytes | None, recorded_at: int) -> Sale:
    """The sale in a record: its fields, and event_at; times in microseconds. Raises NoSale where there is none."""
    raw = json_records.object_of(value)
    event: Sale = {"id": _house_id(raw)}
    for name in NUMBERS:
        event[name] = _number(raw, name)
    for name in TIMES:
        event[name] = _time(raw, name)
    event["event_id"] = _event_id(raw)
    event["event_at"] = recorded_at if event["sold_at"] is None else event["sold_at"]
    if not YEAR_2000 <= event["event_at"] <= recorded_at + AHEAD:
        refuse("event time out of bounds")
    return event


def _house_id(raw: Mapping[str, Any]) -> str:
    """The house's id: without the zeros before a number."""
    text = json_records.id_of(raw, "id")
    number = _HOUSE_NUMBER.fullmatch(text)
    text = number[1] if number else text
    return text if _ID.fullmatch(text) else refuse("id")


def _event_id(raw: Mapping[str, Any]) -> str | None:
    if raw.get("event_id") is None:
        return None
    text = json_records.id_of(raw, "event_id")
    return text if 1 <= len(text) <= 128 else refuse("event_id: length")


def _number(raw: Mapping[str, Any], name: str) -> Any:
    kind, needed, low, high = NUMBERS[name]
    number = _READ[kind](raw, name)
    if number is None:
        return refuse(f"{name}: missing") if needed else None
    return number if low <= float(number) <= high else refuse(f"{name}: out of bounds")


def _time(raw: Mapping[str, Any], name: str) -> int | None:
    """The time in microseconds; when a house was listed may be a day."""
    text = json_records.text_of(raw.get(name))
    return None if text is None else json_records.micros_of(text, day_is_taken=name == "listed_at")


__all__ = ["AHEAD", "NUMBERS", "TIMES", "YEAR_1900", "YEAR_2000", "YEAR_2200", "NoSale", "sale"]
