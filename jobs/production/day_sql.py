"""Production days and their hours as SQL for both Spark and PostgreSQL.

The instants at which the plant's clock changes are computed here, once, and written into the SQL: the time zone tables
of Python, Java and PostgreSQL may differ. Both sessions are in UTC.
"""

import functools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from jobs.production.plant import Plant

FIRST, LAST = date(1999, 12, 30), date(2050, 1, 1)  # later days have the last offset
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
Steps = tuple[tuple[datetime, int], ...]  # (instant, minutes from then on); the first minutes hold before it, too


def begin(day: date, starts: str, zone: str) -> datetime:
    """The instant at which a day begins. Of a time that the clock shows twice it is the first one; a skipped time is
    counted from the start of the skip."""
    return datetime.combine(day, time.fromisoformat(starts), ZoneInfo(zone)).astimezone(UTC)


def day(moment: str, plant: Plant) -> str:
    """SQL for the production day of a column of instants."""
    shifts, _ = steps(plant.day_starts, plant.time_zone)
    return f"CAST({moment} - {_tree(shifts, moment)} AS date)"


def hour(moment: str, plant: Plant) -> str:
    """SQL for the hour of a column of instants; hours count from the day's start, so none is in two days."""
    _, minutes = steps(plant.day_starts, plant.time_zone)
    past = _tree(minutes, moment)
    return f"(date_trunc('hour', {moment} - {past}) + {past})"


@functools.cache
def steps(starts: str, zone: str) -> tuple[Steps, Steps]:
    """The minutes after midnight (UTC) at which days begin, and the minute at which their hours begin.

    On a day of more than 24 hours the first one rises after 24 hours, so that the rest is not part of the next day.
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
    """SQL for the step at a moment, by bisection: a few comparisons a row."""
    if len(of) == 1:
        return f"INTERVAL '{of[0][1]}' MINUTE"
    at = len(of) // 2
    limit = f"CAST('{of[at][0]:%Y-%m-%d %H:%M}:00' AS timestamp)"
    return f"CASE WHEN {moment} < {limit} THEN {_tree(of[:at], moment)} ELSE {_tree(of[at:], moment)} END"
