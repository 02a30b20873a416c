"""A domain at one moment, as its pages, the overview and the status pill show it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from dashboard.live.broker import TopicView, together
from dashboard.live.models import ModelView
from dashboard.live.queries import QueryView
from dashboard.live.source import Layers, ReadingName, T, ValueName
from lakehouse.contract.domain import Domain
from lakehouse.core.states import QueryState
from lakehouse.errors import LakeError
from lakehouse.tables.reader import Reading
from lakehouse.tables.table_io import Table

_NO_ROWS = Reading()


@dataclass(frozen=True)
class LayersView:
    """Speed and batch layer, their comparison, and the rows chosen from both; `of` names their tables."""

    of: Layers = field(compare=False)
    speed: Reading
    batch: Reading
    parity: Reading
    served: pd.DataFrame = field(compare=False)


@dataclass(frozen=True)
class DomainView:
    """A domain at one moment. Equal to the one before exactly when nothing on a page would change.

    `topics` are those that a query reads, `written_topics` those that one writes and none reads. `tables` has every
    table of the domain by name, but for batch logs: all its numbers, and rows where the source reads some. `by_name`
    and `values` are what the source declares, `models` the domain's models by name.
    """

    domain: Domain = field(compare=False)
    topics: Mapping[str, TopicView]
    queries: Mapping[str, QueryView]
    tables: Mapping[str, Reading]
    by_name: Mapping[str, Reading] = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)
    layers: LayersView | None = None
    models: Mapping[str, ModelView] = field(default_factory=dict)
    written_topics: Mapping[str, TopicView] = field(default_factory=dict)

    @property
    def topic(self) -> TopicView:
        """What the queries read; several topics are together as one."""
        return together(list(self.topics.values()))

    @property
    def history(self) -> Reading:
        """The table that has every valid event; no rows where the domain keeps none."""
        table = history_of(self.domain)
        return self.tables[table.name] if table else _NO_ROWS

    @property
    def dead_letters(self) -> Reading:
        """The newest events that are not valid."""
        return self.tables[self.domain.dead_letters.name]

    @property
    def speed(self) -> Reading:
        """The rows that the stream has written."""
        return self._both.speed

    @property
    def batch(self) -> Reading:
        """The rows that the recomputation has written."""
        return self._both.batch

    @property
    def parity(self) -> Reading:
        """Where the two layers differ."""
        return self._both.parity

    @property
    def served(self) -> pd.DataFrame:
        """The rows chosen from both layers."""
        return self._both.served

    @property
    def _both(self) -> LayersView:
        if self.layers is None:
            what = f"The source of {self.domain.name} declares no speed and batch layer."
            raise LakeError(what, f"Give it `layers` in dashboard/pages/{self.domain.name}/source.py.")
        return self.layers

    def reading(self, name: ReadingName) -> Reading:
        """A reading that the source declares."""
        return self.by_name[name]

    def value(self, name: ValueName[T]) -> T | None:
        """A value that the source declares; None when it could not be made."""
        found = self.values[name.name]
        return found if isinstance(found, name.kind) else None

    @property
    def used(self) -> bool:
        """Whether an event was ever sent to it, a query of it ran, or a table of it has rows."""
        kept = any(reading.state != "empty" for reading in self.tables.values())
        ran = any(query.state is not QueryState.NOT_STARTED for query in self.queries.values())
        return kept or ran or bool(self.topic.events)

    def as_of(self, table: Table) -> datetime | str | None:
        """Up to when a table that a query writes is complete; 'live' when nothing on the topic is left to read."""
        query = next(name for name, of in self.domain.query_tables.items() if table in of.tables)
        return self._complete(self.queries[query], [self.tables[table.name]])

    def query_as_of(self, query: str) -> datetime | str | None:
        """Up to when all that a query writes is complete, as `as_of`."""
        return self._complete(self.queries[query], self.written_by(query))

    def written_by(self, query: str) -> list[Reading]:
        """The tables that a query writes, without the dead letters: a sound batch may add none."""
        names = [table.name for table in self.domain.query_tables[query].tables]
        return [self.tables[name] for name in names if name in self.tables and name != self.domain.dead_letters.name]

    def topic_of(self, query: str) -> TopicView:
        """What a query reads; several topics are together as one."""
        return together([self.topics[name] for name in topic_names(self.domain, query)])

    @staticmethod
    def _complete(query: QueryView, written: list[Reading]) -> datetime | str | None:
        if query.lag == 0:
            return "live"
        moments = [*(reading.committed_at for reading in written), query.progressed_at]
        return max((at for at in moments if at), default=None)


def topic_names(domain: Domain, query: str) -> tuple[str, ...]:
    """The names of the topics that a query reads."""
    return domain.query_tables[query].topic_names


def only_written(domain: Domain) -> tuple[str, ...]:
    """The names of the topics that a query writes and none reads."""
    read = {name for query in domain.queries for name in topic_names(domain, query)}
    written = [topic.name for of in domain.query_tables.values() for topic in of.written_topics]
    return tuple(name for name in dict.fromkeys(written) if name not in read)


def history_of(domain: Domain) -> Table | None:
    """The table in which the domain keeps every valid event."""
    records = [table for of in domain.query_tables.values() for table in of.record_tables]
    return next((table for table in records if table != domain.dead_letters), None)
