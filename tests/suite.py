"""What the suites audit and bench need of a domain: the `SUITE` of its tests/jobs/<domain>/suite.py."""

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.contract import discovery
from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import Server
from lakehouse.contract.topics import Topic
from lakehouse.kafka.producer import Outgoing

if TYPE_CHECKING:
    from lakehouse.streaming.query import Query
    from tests.sites import Site

Place = tuple[int, int]  # partition and offset of a record


@dataclass(frozen=True)
class View:
    """Where an event becomes visible, and the bench's target for it.

    `watch` notes in the dict, until it is to stop, when each step was first seen (time.monotonic); steps only grow.
    `steps` gives the step that shows each of the records, which are in the order of their acknowledgement.
    """

    name: str
    target: str
    watch: "Callable[[Site, dict[int, float], threading.Event], None]"
    steps: "Callable[[Site, Sequence[Place]], Iterable[int]]"


@dataclass(frozen=True)
class Suite:
    """A domain as the suites see it.

    - `points`: the points of a batch at which each query can be killed, in their order
    - `queries`: the queries for a broker, to be run in this process
    - `events`: so many further events for the audit, numbered on from `site.sent`, with bad and resent ones among them
    - `number`: the number of an event from `events` by its record; None for other records
    - `decode`: what a valid event says by an independent reading; None for a bad one
    - `views_wrong`: what is wrong with the views of the records, a sentence each, by an independent count
    - `flow`: valid events without end, for the bench; `probes`: such that each changes what each of `views` shows
    """

    domain: Domain
    points: Mapping[str, Sequence[str]]
    queries: "Callable[[str], list[Query]]"
    events: "Callable[[Site, int], Iterable[Outgoing]]"
    number: Callable[[Any], int | None]
    decode: Callable[[Any], Any]
    views_wrong: "Callable[[Site, list[Any]], list[str]]"
    flow: Callable[[], Iterator[Outgoing]]
    probes: Callable[[], Iterator[Outgoing]]
    views: Sequence[View]

    @property
    def topic(self) -> Topic:
        """The topic that its queries read."""
        read = {topic.name: topic for tables in self.domain.query_tables.values() for topic in tables.topics}
        assert len(read) == 1, f"the suites send to one topic; the queries of {self.domain.name} read {', '.join(read)}"
        return next(iter(read.values()))

    @property
    def needs_postgres(self) -> bool:
        """Whether its stream writes to PostgreSQL."""
        return Server.POSTGRES in self.domain.services


def load(name: str) -> Suite:
    """The suite of the domain of that name."""
    suite: Suite = importlib.import_module(f"tests.jobs.{name}.suite").SUITE
    return suite


def names() -> list[str]:
    """Every domain's name: each has a suite."""
    return discovery.domains()
