"""The facts of a house that a what-if question may change, and their bounds: one rule for page, API and CLI."""

import math
from collections.abc import Mapping, Sequence

from jobs.houses import schema
from lakehouse.errors import UsageError
from lakehouse.events.contract import Field
from lakehouse.events.fields import Kind

_NOT_FACTS = ("id", "price", "listed_at", "sold_at", "event_id")
_LISTED_DAY = Field("listed_day", "listed_day", Kind.WHOLE, required=False, wire=int, low=0, high=100_000)
FACTS = {item.name: item for item in schema.FIELDS if item.name not in _NOT_FACTS} | {"listed_day": _LISTED_DAY}


def parse(given: Mapping[str, str | Sequence[str]]) -> dict[str, float]:
    """The facts as numbers, by name. Raises UsageError, which names the first bad one."""
    changes = {}
    for name, value in given.items():
        if not isinstance(value, str):
            raise UsageError(f"{name[:40]} is given more than once.", "Give each fact once.")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        changes[name] = checked_fact(name, number, value)
    return changes


def checked_fact(name: str, number: float, given: object = None) -> float:
    """The number, when it is within the bounds of the fact. Raises UsageError."""
    if name not in FACTS:
        raise UsageError(f"{name[:40]} is not a fact of a house.", f"Facts to change: {', '.join(FACTS)}.")
    low, high = FACTS[name].low, FACTS[name].high
    assert low is not None
    assert high is not None
    if not low <= number <= high:
        got = number if given is None else str(given)[:40]
        raise UsageError(f"{name} must be a number from {low:.10g} to {high:.10g}; got {got!r}.")
    return number
