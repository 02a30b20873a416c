"""What the platform must know of a domain, declared in its schema.py and found by discovery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lakehouse.contract.tables import Table
from lakehouse.contract.topics import Topic


@dataclass(frozen=True)
class Stores:
    """The tables that a streaming query writes, and the topic it reads.

    `records` together hold each record of the topic once, by its coordinates (topic, partition, offset). `views` are
    made of the query's state: they are begun anew with it.
    """

    topic: Topic
    records: tuple[Table, ...] = ()
    views: tuple[Table, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        return self.records + self.views


@dataclass(frozen=True)
class Domain:
    """A domain as the launcher sees it.

    `stores` are the streaming queries of `stream.py` in the order shown, with what each writes; `prepare` lists the
    jobs that run once before the stream (script and arguments), `prepare_empty` those that do so in a lake that is to
    begin without the data that comes with the domain, `later` those that run once when everything is up, `produce`
    the arguments of the demo's producer; `postgres` whether its stream writes to PostgreSQL; `check` raises LakeError
    when the domain's own settings cannot be used.
    """

    name: str
    title: str
    topics: tuple[Topic, ...]
    tables: tuple[Table, ...]
    stores: Mapping[str, Stores]
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
        return tuple(self.stores)
