"""What the platform needs to know about a domain. The domain declares it in its schema.py; discovery finds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lakehouse.contract.tables import Table
from lakehouse.contract.topics import Topic


@dataclass(frozen=True)
class QueryTables:
    """The tables that a streaming query writes, and the topics it reads.

    `record_tables` together hold each record of each topic once, by its coordinates (topic, partition, offset).
    `state_tables` are derived from the query's state; when that state is reset, they are emptied too.
    """

    topics: tuple[Topic, ...]
    record_tables: tuple[Table, ...] = ()
    state_tables: tuple[Table, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        return self.record_tables + self.state_tables

    @property
    def topic_names(self) -> tuple[str, ...]:
        """The names of the topics, in the order of the declaration."""
        return tuple(topic.name for topic in self.topics)


@dataclass(frozen=True)
class Domain:
    """A domain as the launcher sees it.

    - `query_tables`: the streaming queries of `stream.py` in the order shown, each with the tables it writes
    - `prepare`: jobs (script and arguments) that run once before the stream; `prepare_empty` replaces them in a lake
      that starts without the data that comes with the domain
    - `produce`: the demo's producer (script and arguments)
    - `later`: jobs that run once when everything is up
    - `postgres`: whether the stream writes to PostgreSQL
    - `check`: raises LakeError when the domain's own settings are invalid
    """

    name: str
    title: str
    topics: tuple[Topic, ...]
    tables: tuple[Table, ...]
    query_tables: Mapping[str, QueryTables]
    dead_letters: Table
    prepare: tuple[tuple[str, ...], ...] = ()
    prepare_empty: tuple[tuple[str, ...], ...] = ()
    produce: tuple[str, ...] = ()
    later: tuple[tuple[str, ...], ...] = ()
    postgres: bool = False
    check: Callable[[], None] | None = None

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the streaming queries, in the order shown."""
        return tuple(self.query_tables)
