"""One immutable, versioned snapshot of the lake, rebuilt every second by one thread; all tiles of a tick show the same.

A domain names what its pages show in its SOURCE; nothing here knows a domain.
"""

import ctypes
import itertools
import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboard.live.domain_view import DomainView
from dashboard.live.health import HealthView, HealthWatch
from dashboard.live.list_reader import ListReader
from dashboard.live.source import Source
from dashboard.live.watcher import Watcher
from lakehouse.contract.discovery import load_all
from lakehouse.core.states import QueryState
from lakehouse.ops.status import ProcessView, shown_views

SECONDS = 1.0
TRIM_LOOKS = 60  # looks between two returns of free memory


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
            view.query_as_of(name)
            for view in self.domains.values()
            for name, query in view.queries.items()
            if query.state is not QueryState.NOT_STARTED
        ]
        times = [moment for moment in moments if isinstance(moment, datetime)]
        return min(times, default="live" if "live" in moments else None)


class Live:
    """The snapshot in force and the thread that replaces it."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self._watchers = [Watcher(source) for source in sources]
        self._numbers = itertools.count(1)
        self._boot = uuid.uuid4().hex[:8]  # after a restart, version 3 is another one
        watched = {name: watch for watcher in self._watchers for name, watch in watcher.topics.items()}
        self.lists = {watcher.source.domain.name: watcher.events for watcher in self._watchers if watcher.events}
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
        for events in self.lists.values():
            events.start()
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


def events(domain: str) -> ListReader | None:
    """The domain's list of newest events; None where its source declares none."""
    return _live.lists.get(domain)
