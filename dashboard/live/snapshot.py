"""One immutable, versioned snapshot of the lake, rebuilt every second by one thread; all tiles of a tick show the same.

A page names its tables in its SOURCE; nothing here knows a domain.
"""

import ctypes
import itertools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow.compute as pc

from dashboard.live.broker import TopicView, TopicWatch, together
from dashboard.live.health import HealthView, HealthWatch
from dashboard.live.queries import QueryView, query_view
from lakehouse.contract.discovery import load_all
from lakehouse.contract.domain import Domain
from lakehouse.core.states import QueryState
from lakehouse.ops.status import ProcessView, shown_views
from lakehouse.tables import loads, served_rows
from lakehouse.tables.reader import Reading, TableReader
from lakehouse.tables.table_io import Table

SECONDS = 1.0
FEED_ROWS = 200
TRIM_LOOKS = 60  # looks between two returns of free memory


@dataclass(frozen=True)
class Source:
    """The tables of a domain's speed and batch layers, by the part they play; `span` is how far back the page shows.

    `serve` chooses between the two layers' rows by their keys, and says which in `layer`.
    `extra` names what else the domain's pages show; each is read once per snapshot and compared for equality.
    """

    domain: Domain
    history: Table
    feed: tuple[str, ...]
    speed: Table
    batch: Table
    parity: Table
    disagrees: pc.Expression
    history_query: str
    speed_query: str
    span: timedelta
    order: str = "window_start"  # column of speed and batch that `span` goes by
    serve: Callable[[pd.DataFrame, pd.DataFrame, Sequence[str]], pd.DataFrame] = served_rows.served
    extra: Mapping[str, Callable[[], object]] = field(default_factory=dict)


@dataclass(frozen=True)
class DomainView:
    """A domain at one moment. Equal to the one before exactly when nothing on a page would change.

    `topic` is what the history reads; several topics are together as one.
    """

    topic: TopicView
    queries: Mapping[str, QueryView]
    history: Reading
    dead_letters: Reading
    speed: Reading
    batch: Reading
    parity: Reading
    served: pd.DataFrame = field(compare=False)
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def used(self) -> bool:
        """Whether an event was ever sent to it, a query of it ran, or a table of it has rows."""
        kept = self.history.state != "empty" or self.dead_letters.state != "empty"
        return (
            kept
            or bool(self.topic.events)
            or any(query.state is not QueryState.NOT_STARTED for query in self.queries.values())
        )

    def as_of(self, query: str, reading: Reading) -> datetime | str | None:
        """Up to when the rows of a query's table are complete; 'live' when nothing on the topic is left to read."""
        view = self.queries[query]
        if view.lag == 0:
            return "live"
        return max((at for at in (reading.committed_at, view.progressed_at) if at), default=None)


@dataclass(frozen=True)
class Snapshot:
    """All domains at one moment; `version` is another one only when something has changed."""

    version: str
    taken_at: datetime
    domains: Mapping[str, DomainView]
    processes: tuple[ProcessView, ...] = ()
    health: HealthView | None = None

    def used(self) -> set[str]:
        """Names of the domains that have ever been used; all of them while none has."""
        names = {name for name, view in self.domains.items() if view.used}
        return names or set(self.domains)

    def fresh_at(self) -> datetime | str | None:
        """Up to when everything shown is complete: 'live', a time, or None while no query has ever run."""
        moments = [
            view.as_of(name, view.speed if name == "speed" else view.history)
            for view in self.domains.values()
            for name, query in view.queries.items()
            if query.state is not QueryState.NOT_STARTED
        ]
        times = [moment for moment in moments if isinstance(moment, datetime)]
        return min(times, default="live" if "live" in moments else None)


class _Watcher:
    """Keeps the readers of one domain and looks through all of them at once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        coordinates = ("topic", "partition", "offset", "recorded_at")
        recent = loads.recent(source.order, source.span)
        self._queries = {"history": source.history_query, "speed": source.speed_query}
        tables = source.domain.query_tables
        self._read = {role: tables[query].topic_names for role, query in self._queries.items()}
        self.topics = {name: TopicWatch(name) for names in self._read.values() for name in names}
        self._history = TableReader(source.history, loads.newest(FEED_ROWS, (*source.feed, *coordinates)))
        self._dead = TableReader(source.domain.dead_letters, loads.newest(1000, (*coordinates, "reason")))
        self._speed = TableReader(source.speed, recent)
        self._batch = TableReader(source.batch, recent)
        self._parity = TableReader(source.parity, loads.matching(source.disagrees, limit=500))
        self._served: tuple[Reading, Reading, pd.DataFrame] | None = None

    def look(self, now: datetime) -> DomainView:
        source, views = self.source, {name: watch.view() for name, watch in self.topics.items()}
        read = {role: together([views[name] for name in names]) for role, names in self._read.items()}
        speed, batch = self._speed.read(), self._batch.read()
        return DomainView(
            topic=read["history"],
            queries={
                role: query_view(source.domain.name, query, read[role], now) for role, query in self._queries.items()
            },
            history=self._history.read(),
            dead_letters=self._dead.read(),
            speed=speed,
            batch=batch,
            parity=self._parity.read(),
            served=self._serve(speed, batch),
            extra={name: self._extra(name, read) for name, read in source.extra.items()},
        )

    def _extra(self, name: str, read: Callable[[], object]) -> object:
        try:
            return read()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a library's panic, too: one part that cannot be read must not stop the others
            logging.getLogger(__name__).exception("%s of %s cannot be read.", name, self.source.domain.name)
            return None

    def _serve(self, speed: Reading, batch: Reading) -> pd.DataFrame:
        if self._served is None or self._served[:2] != (speed, batch):
            rows = self.source.serve(speed.frame, batch.frame, self.source.speed.keys)
            order = rows[self.source.order]
            shown = rows[order >= order.max() - self.source.span] if len(rows) else rows
            self._served = speed, batch, shown.reset_index(drop=True)
        return self._served[2]


class Live:
    """The snapshot in force and the thread that replaces it."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self._watchers = [_Watcher(source) for source in sources]
        self._numbers = itertools.count(1)
        self._boot = uuid.uuid4().hex[:8]  # after a restart, version 3 is another one
        watched = {name: watch for watcher in self._watchers for name, watch in watcher.topics.items()}
        self.health = HealthWatch(load_all(), watched)
        self.snapshot: Snapshot | None = None

    def refresh(self) -> Snapshot:
        """Look at everything once; the version stays when nothing has changed."""
        now = datetime.now(UTC)
        views = {watcher.source.domain.name: watcher.look(now) for watcher in self._watchers}
        last = self.snapshot
        processes = shown_views()
        health = self.health.current(now)
        stamps = health and health.stamps
        same = last is not None and (last.domains, last.processes) == (views, processes)
        same = same and last is not None and (last.health and last.health.stamps) == stamps
        version = last.version if last is not None and same else f"{self._boot}-{next(self._numbers)}"
        self.snapshot = Snapshot(version, now, views, processes, health)
        return self.snapshot

    def start(self) -> None:
        """Begin to watch, in background threads that end with the process."""
        for watcher in self._watchers:
            for watch in watcher.topics.values():
                watch.start()
        self.health.start()
        threading.Thread(target=self._run, name="snapshot", daemon=True).start()

    def _run(self) -> None:
        for look in itertools.count():
            began = time.monotonic()
            try:
                self.refresh()
            except BaseException:  # the page shows STALE with the age; the next look may succeed
                logging.getLogger(__name__).exception("The snapshot could not be taken.")
            if look % TRIM_LOOKS == 0:
                _trim()
            time.sleep(max(0.1, SECONDS - (time.monotonic() - began)))


def _trim() -> None:
    """Return free memory to the machine: some 30 MB of earlier tables, in 5 ms."""
    with suppress(AttributeError, OSError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)


_live = Live(())


def use(live: Live) -> None:
    """Make this the process's live view."""
    global _live  # noqa: PLW0603
    _live = live


def sources() -> tuple[Source, ...]:
    """The domains that are watched."""
    return _live.sources


def current() -> Snapshot | None:
    """The snapshot in force; None until the first one is taken."""
    return _live.snapshot


def view(domain: str) -> DomainView | None:
    """The domain in the snapshot in force."""
    snapshot = current()
    return snapshot.domains.get(domain) if snapshot else None
