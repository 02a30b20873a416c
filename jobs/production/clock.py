"""Production days and their hours as SQL that Spark and PostgreSQL both understand.

The instants at which the plant's clock changes are worked out here, once, and put into the text: the tables of time
zones of Python, Java and PostgreSQL need not be of the same year. Both sessions are in UTC.
"""

import functools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from jobs.production.plant import Plant

FIRST, LAST = date(1999, 12, 30), date(2050, 1, 1)  # afterwards the last offset goes on
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
Steps = tuple[tuple[datetime, int], ...]  # from that instant on so many minutes; the first ones from ever


def begin(day: date, starts: str, zone: str) -> datetime:
    """The instant at which a day begins. A time that the clock shows twice is the first; one that it skips is as long
    after the skip began as it would have been."""
    return datetime.combine(day, time.fromisoformat(starts), ZoneInfo(zone)).astimezone(UTC)


def day(moment: str, plant: Plant) -> str:
    """The production day of a column."""
    shifts, _ = steps(plant.day_starts, plant.time_zone)
    return f"CAST({moment} - {_tree(shifts, moment)} AS date)"


def hour(moment: str, plant: Plant) -> str:
    """When the hour of a column begins; hours are counted from the day's start, so none is in two days."""
    _, minutes = steps(plant.day_starts, plant.time_zone)
    past = _tree(minutes, moment)
    return f"(date_trunc('hour', {moment} - {past}) + {past})"


@functools.cache
def steps(starts: str, zone: str) -> tuple[Steps, Steps]:
    """How long after midnight (UTC) days begin, and the minute at which their hours do.

    Where a day is longer than 24 hours the first goes up when 24 are over: what is left is not the next day's.
    """
    shifts: list[tuple[datetime, int]] = []
    minutes: list[tuple[datetime, int]] = []
    for midnight, shift in _shifts(starts, zone):
        before = shifts[-1][1] if shifts else shift
        if not shifts or shift != before:
            shifts.append((midnight + min(before, shift) * _MINUTE, shift))
        if not minutes or shift % 60 != minutes[-1][1]:
            minutes.append((midnight + shift * _MINUTE, shift % 60))
    return tuple(shifts), tuple(minutes)


def _shifts(starts: str, zone: str) -> Iterator[tuple[datetime, int]]:
    for number in range((LAST - FIRST).days):
        midnight = datetime.combine(FIRST, time(), UTC) + number * _DAY
        yield midnight, (begin(midnight.date(), starts, zone) - midnight) // _MINUTE


def _tree(of: Steps, moment: str) -> str:
    """The step in force at a moment, by halves: a few comparisons a row."""
    if len(of) == 1:
        return f"INTERVAL '{of[0][1]}' MINUTE"
    at = len(of) // 2
    limit = f"CAST('{of[at][0]:%Y-%m-%d %H:%M}:00' AS timestamp)"
    return f"CASE WHEN {moment} < {limit} THEN {_tree(of[:at], moment)} ELSE {_tree(of[at:], moment)} END"
