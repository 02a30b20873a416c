"""What a domain's pages show, as the domain's module `source` declares it; nothing here knows a domain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, NewType, TypeVar

import pandas as pd
import pyarrow.compute as pc

from dashboard.live.event_list import EventList
from lakehouse.contract.domain import Domain
from lakehouse.errors import LakeError
from lakehouse.tables import served_layer
from lakehouse.tables.loads import Loader
from lakehouse.tables.reader import Reading
from lakehouse.tables.table_io import Table

T = TypeVar("T")
Readings = Mapping[str, Reading]
ReadingName = NewType(
    "ReadingName", str
)  # made by Source.reading, which knows the names: a wrong one is found at import


@dataclass(frozen=True)
class ValueName(Generic[T]):
    """The name of a value and its type; `Source.value` makes it."""

    name: str
    kind: type[T]


@dataclass(frozen=True)
class Layers:
    """The same result twice: `speed` is written by a streaming query, `batch` and `parity` by the recomputation.

    `disagrees` finds the rows of `parity` in which they differ. `span` is how far back the pages show, by the column
    `order`. `serve` chooses between the two tables' rows by their keys, and says which in `layer`; where the
    rows have `is_final`, the overview counts those that are provisional.
    """

    speed: Table
    batch: Table
    parity: Table
    disagrees: pc.Expression
    span: timedelta
    order: str = "window_start"
    serve: Callable[[pd.DataFrame, pd.DataFrame, Sequence[str]], pd.DataFrame] = served_layer.served


@dataclass(frozen=True)
class Source:
    """A domain and what its pages show beside what every domain has: topics, queries, dead letters, sizes of tables.

    `readings` are rows of tables, by name. `values` are computed from the readings, or read elsewhere; each is made
    once per snapshot and compared for equality. `layers` is there where a batch layer recomputes what a stream writes,
    `events` where a page lists the newest events as they come.
    """

    domain: Domain
    readings: Mapping[str, tuple[Table, Loader]] = field(default_factory=dict)
    values: Mapping[str, Callable[[Readings], object]] = field(default_factory=dict)
    layers: Layers | None = None
    events: EventList | None = None

    def reading(self, name: str) -> ReadingName:
        """The name of a reading, for `DomainView.reading`. Raises LakeError when there is none; ask at import."""
        self._known(name, self.readings, "readings")
        return ReadingName(name)

    def value(self, name: str, kind: type[T]) -> ValueName[T]:
        """The name of a value of that type, for `DomainView.value`. Raises LakeError when there is none."""
        self._known(name, self.values, "values")
        return ValueName(name, kind)

    def _known(self, name: str, declared: Mapping[str, object], what: str) -> None:
        if name not in declared:
            raise LakeError(
                f"A page of {self.domain.name} asks for {name!r}, which is none of the {what} of its source: "
                f"{', '.join(declared) or 'there are none'}.",
                f"Declare it in dashboard/pages/{self.domain.name}/source.py.",
            )
