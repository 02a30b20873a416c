"""The kinds of field that an event may have. docs/events.md says which JSON each takes.

An event is a `msgspec.Struct`; an annotation names a kind, perhaps with bounds: `Annotated[Whole, Meta(ge=0, le=100)]`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from msgspec import Meta


class Kind(Enum):
    """A kind of field: the SQL type of its column, and the words for what a sender is to send."""

    TEXT = "STRING", "a text or a whole number"
    WHOLE = "INT", "a whole number"
    LONG = "BIGINT", "a whole number"
    REAL = "DOUBLE", "a number"
    MONEY = "DECIMAL(12,2)", "a number"
    FLAG = "INT", "0, 1, true or false"
    TIME = "TIMESTAMP", "a time (ISO 8601 or epoch milliseconds)"
    TIME_OR_DAY = "TIMESTAMP", "a time or a day (ISO 8601, or epoch milliseconds)"

    def __init__(self, column: str, wanted: str) -> None:
        self.column = column
        self.wanted = wanted


@dataclass(frozen=True)
class Letters:
    """A rule for a text: the pattern that the whole of it matches, its words, and a pattern that a part of it matches.

    The patterns are read by RE2 and by Python: no look-around, no \\u escapes.
    """

    pattern: str
    wanted: str
    has: str = ""


Text = Annotated[str | int | float, Kind.TEXT]
"""A text; a whole number is its digits."""

Whole = Annotated[int, Kind.WHOLE]
"""A whole number of at most 32 bits: give it bounds."""

Long = Annotated[int, Kind.LONG]
"""A whole number of at most 64 bits: give it bounds."""

Real = Annotated[float, Kind.REAL]
"""A number as the nearest double."""

Money = Annotated[float, Kind.MONEY]
"""An amount, rounded to cents: halves upwards, by the number's own digits."""

Flag = Annotated[Annotated[int, Meta(ge=0, le=1)] | bool, Kind.FLAG]
"""Yes or no: 1 or 0."""

Time = Annotated[str | int | float, Kind.TIME]
"""An instant; a text without a zone is UTC."""

TimeOrDay = Annotated[str | int | float, Kind.TIME_OR_DAY]
"""An instant, or a day: its first instant in UTC."""
