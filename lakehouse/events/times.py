"""Times as senders write them: ISO 8601 in all its forms, and epoch milliseconds. docs/events.md has the table.

Sources: ISO 8601-1:2019, 5.3 and 5.4; RFC 3339, 5.6. PostgreSQL writes a zone as +00, Jackson as +0000, and Python's
logging a comma before the milliseconds.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A time outside would, once in the history, make all of it unreadable to readers that count in nanoseconds.
READABLE = ("1900-01-01", "2200-01-01")
_DAY = r"(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_CLOCK = (
    r"[Tt ](?P<hour>\d\d)(?P<colon>:?)(?P<minute>\d\d)(?:(?P=colon)(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
)
_ZONE = r"(?:[Zz]|(?P<sign>[+-])(?P<zone_hours>\d\d)(?::?(?P<zone_minutes>\d\d))?)?"
_TIME = re.compile(_DAY + _CLOCK + _ZONE, re.ASCII)
_DAY_ALONE = re.compile(_DAY, re.ASCII)
RANGE = tuple((datetime.fromisoformat(f"{day}T00Z") - EPOCH) // timedelta(microseconds=1) for day in READABLE)
_YEAR_2000 = 946_684_800
_UNITS = (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000))


class NoTime(ValueError):
    """A text or number that is no time; the message says what it looks like, or nothing."""


def micros_of_text(text: str, day_is_taken: bool = False) -> int:
    """Microseconds since 1970 of an ISO 8601 text; without a zone it is UTC. Raises NoTime."""
    found = _TIME.fullmatch(text) or (_DAY_ALONE.fullmatch(text) if day_is_taken else None)
    if not found:
        raise NoTime("a day without a time" if _DAY_ALONE.fullmatch(text) else "")
    return _checked(_micros(found.groupdict()))


def micros_of_number(number: Decimal | int) -> int:
    """Microseconds since 1970 of epoch milliseconds; digits beyond are cut off. Raises NoTime for other units."""
    number = Decimal(number)
    if number.is_finite() and abs(number) < 10**20:
        unit = next((unit for unit, factor in _UNITS if _is_recent(number / factor)), "")
        if unit in ("", "milliseconds"):
            return _checked(int((number * 1000).to_integral_value("ROUND_FLOOR")))
        raise NoTime(f"a number that looks like {unit}")
    raise NoTime("")


def text_of(micros: int) -> str:
    """An instant as our own producers write it: UTC, to the microsecond."""
    at = EPOCH + timedelta(microseconds=micros)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z"


def _is_recent(seconds: Decimal) -> bool:
    return _YEAR_2000 <= abs(seconds) <= RANGE[1] // 1_000_000


def _checked(micros: int) -> int:
    if not RANGE[0] <= micros <= RANGE[1]:
        raise NoTime(f"not from {READABLE[0]} to {READABLE[1]}")
    return micros


def _micros(parts: dict[str, str | None]) -> int:
    def number(name: str) -> int:
        return int(parts.get(name) or 0)

    zone = timedelta(hours=number("zone_hours"), minutes=number("zone_minutes"))
    if zone > timedelta(hours=18) or number("zone_minutes") > 59:
        raise NoTime("")
    clock = (number("hour"), number("minute"), number("second"))
    fraction = (parts.get("fraction") or "").ljust(6, "0")[:6]
    try:
        at = datetime(number("year"), number("month"), number("day"), *clock, int(fraction), tzinfo=UTC)
    except ValueError:  # no such day or hour
        raise NoTime("") from None
    return (at - EPOCH - (-zone if parts.get("sign") == "-" else zone)) // timedelta(microseconds=1)
