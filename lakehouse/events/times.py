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
_DAY = r"(\d{4})-?(\d\d)-?(\d\d)"
_CLOCK = r"[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?"
_ZONE = r"(?:[Zz]|([+-])(\d\d):?(\d\d)?)?"
_TIME = re.compile(_DAY + _CLOCK + _ZONE, re.ASCII)
_DAY_ALONE = re.compile(_DAY, re.ASCII)
RANGE = tuple((datetime.fromisoformat(f"{day}T00Z") - EPOCH) // timedelta(microseconds=1) for day in READABLE)
_YEAR_2000 = 946_684_800
_UNITS = (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000))


class NoTime(ValueError):
    """A text or number that is no time; the message says what it looks like, or nothing."""


def micros_of_text(text: str, day_is_taken: bool = False) -> int:
    """Microseconds since 1970 of an ISO 8601 text; without a zone it is UTC. Raises NoTime."""
    if day_is_taken and (day := _DAY_ALONE.fullmatch(text)):
        return _checked(_micros((*day.groups(), "0", "0", None, None, None, None, None)))
    found = _TIME.fullmatch(text)
    if not found:
        raise NoTime("a day without a time" if _DAY_ALONE.fullmatch(text) else "")
    return _checked(_micros(found.groups()))


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


def _micros(parts: tuple[str | None, ...]) -> int:
    year, month, day, hour, minute, second = (int(part or 0) for part in parts[:6])
    zone = timedelta(hours=int(parts[8] or 0), minutes=int(parts[9] or 0))
    if zone > timedelta(hours=18) or int(parts[9] or 0) > 59:
        raise NoTime("")
    try:
        at = datetime(year, month, day, hour, minute, second, int((parts[6] or "").ljust(6, "0")[:6]), UTC)
    except ValueError:  # no such day or hour
        raise NoTime("") from None
    return (at - EPOCH - (-zone if parts[7] == "-" else zone)) // timedelta(microseconds=1)
