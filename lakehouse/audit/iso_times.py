"""ISO 8601 as senders write it, in plain Python: extended or basic, T or a blank, a comma or a point, any zone."""

import re
from datetime import date, timedelta

MICROS = 1_000_000
LARGEST_ZONE = 18 * 3600  # seconds, as Java takes it
FIRST, LAST = -2_208_988_800 * MICROS, 7_258_118_400 * MICROS  # the years 1900 to 2200: every reader can count them
_DAY = r"([0-9]{4})(?:-([0-9]{2})-([0-9]{2})|([0-9]{2})([0-9]{2}))"
_CLOCK = (
    r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?|([0-9]{2})(?:([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)"
)
_ZONE = r"(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)?"
_ALONE, _TIME = re.compile(_DAY), re.compile(f"{_DAY}[Tt ]{_CLOCK}{_ZONE}")


def day(text: str) -> int | None:
    """Microseconds from 1970 to the day's first instant in UTC; None for what is no day alone. Raises ValueError."""
    parts = _ALONE.fullmatch(text)
    return checked(_days(parts.groups()) * 86_400 * MICROS) if parts else None


def micros(text: str) -> int:
    """Microseconds since 1970; what is finer is cut off. Raises ValueError."""
    parts = _TIME.fullmatch(text)
    if not parts:
        raise ValueError("not a time")
    given = parts.groups()
    hour, minute, second = (int(part or 0) for part in (given[5], given[6] or given[9], given[7] or given[10]))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time")
    seconds = _days(given[:5]) * 86_400 + hour * 3600 + minute * 60 + second - _zone(*given[12:])
    fraction = (given[8] or given[11] or "").ljust(6, "0")[:6]
    return checked(seconds * MICROS + int(fraction))


def _days(parts: tuple[str | None, ...]) -> int:
    year, month, of_month = (int(part or 0) for part in (parts[0], parts[1] or parts[3], parts[2] or parts[4]))
    return (date(year, month, of_month) - date(1970, 1, 1)) // timedelta(days=1)


def _zone(sign: str | None, hours: str | None, minutes: str | None) -> int:
    seconds = int(hours or 0) * 3600 + int(minutes or 0) * 60
    if seconds > LARGEST_ZONE or int(minutes or 0) > 59:
        raise ValueError("no such zone")
    return -seconds if sign == "-" else seconds


def checked(at: int) -> int:
    """The time, when it is near enough. Raises ValueError."""
    if not FIRST <= at <= LAST:
        raise ValueError("too far away")
    return at
