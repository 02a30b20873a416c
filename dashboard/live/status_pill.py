"""What the status pill says, decided on the server from facts: LIVE, CATCHING UP, STALE or NO DATA.

OFFLINE alone is decided by the browser (assets/core/live.js), since then no server answers.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dashboard.live.broker import BEHIND_SECONDS
from dashboard.live.domain_view import DomainView
from dashboard.live.queries import QueryView
from dashboard.live.snapshot import Snapshot
from lakehouse.core.states import QueryState
from lakehouse.tables.reader import Reading

SNAPSHOT_SECONDS = 5.0  # taken every second; older than this the thread that takes it hangs
DATA_SECONDS = 30.0  # with events left to read, data older than this is stale
LEAST_RATE = 10.0  # events per second: at a lower rate a handful of events is no backlog
GROWING_SECONDS = 20.0  # longer than the pause between two batches of the history
NOT_ASKED = "has not been asked yet"


@dataclass(frozen=True)
class QueryPulse:
    """One query: its state, how many events it has not read, and up to when its table is complete."""

    name: str
    state: QueryState
    lag: int | None
    rate: float | None = None
    complete_at: datetime | None = None
    growing: bool = False
    trouble: str = ""

    def behind_seconds(self) -> float:
        """The lag as seconds of input."""
        return (self.lag or 0) / max(self.rate or 0.0, LEAST_RATE)


class Pulse(NamedTuple):
    """A status, its word, since when (for STALE: up to when what is shown is complete), and the sentence behind it."""

    status: str
    word: str
    since: datetime | None
    why: str


def decide(queries: Sequence[QueryPulse], taken_at: datetime, filled: bool, now: datetime) -> Pulse:
    """The worst that is true of the snapshot and the queries; `filled` is whether any table has rows."""
    if (now - taken_at).total_seconds() > SNAPSHOT_SECONDS:
        return Pulse("stale", "STALE", taken_at, "The dashboard has not looked at the lake since.")
    if not filled and all(query.state is QueryState.NOT_STARTED for query in queries):
        return Pulse("empty", "NO DATA", None, "No query has run yet; this page fills as soon as one does.")
    stale = [pulse for query in queries if (pulse := _stale(query, now))]
    if stale:
        return min(stale, key=lambda pulse: pulse.since or now)
    behind = [query for query in queries if query.growing or query.behind_seconds() > BEHIND_SECONDS]
    if behind:
        names = " and ".join(query.name for query in behind)
        return Pulse("catching-up", "CATCHING UP", None, f"Not everything on the topic has been read yet: {names}.")
    return Pulse("live", "LIVE", None, "Up to date.")


def _stale(query: QueryPulse, now: datetime) -> Pulse | None:
    since = query.complete_at
    if query.trouble:
        return Pulse("stale", "STALE", since, query.trouble)
    if query.state is QueryState.NOT_STARTED:
        return Pulse("stale", "STALE", since, f"The query {query.name} has never run.")
    if query.state is QueryState.STOPPED:
        return Pulse("stale", "STALE", since, f"The query {query.name} has stopped; new events are not read.")
    if query.lag and since and (now - since).total_seconds() > DATA_SECONDS:
        return Pulse("stale", "STALE", since, f"Events wait on the topic, and {query.name} has written none since.")
    return None


def growing(samples: Sequence[tuple[float, int]], now: float) -> bool:
    """Whether the lowest lag of each of the last three periods is above the one before: a lag that never comes down."""
    floors = []
    for number in range(3):
        end = now - number * GROWING_SECONDS
        lags = [lag for at, lag in samples if end - GROWING_SECONDS < at <= end]
        if not lags:
            return False
        floors.append(min(lags))
    newest, middle, oldest = floors
    return newest > middle > oldest and newest > 5 * LEAST_RATE


class Watch:
    """Keeps the lags of the last minute, and when all was answered, and decides the pulse; one per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lags: dict[str, deque[tuple[float, int]]] = {}
        self._all_answered: dict[str, datetime] = {}

    def pulse(self, snapshot: Snapshot, now: datetime) -> tuple[Pulse, str]:
        """The status and its title: the sentence, the lag of each query, the last snapshot and the last event."""
        used, views = snapshot.used(), list(snapshot.domains.values())
        shown = [view for view in views if view.domain.name in used]
        queries = [self._query(view, query, now) for view in shown for query in view.queries]
        if any(NOT_ASKED in view.topic.error for view in views):
            return Pulse("connecting", "CONNECTING", None, "The broker has not answered yet."), ""
        filled = any(view.topic.events or any(table.total for table in view.tables.values()) for view in views)
        pulse = decide(queries, snapshot.taken_at, filled, now)
        newest = max((at for view in views if (at := view.history.newest_event_at)), default=None)
        return pulse, title(pulse, queries, snapshot.taken_at, newest)

    def _query(self, view: DomainView, query_name: str, now: datetime) -> QueryPulse:
        name, query, topic = f"{view.domain.name}/{query_name}", view.queries[query_name], view.topic_of(query_name)
        written = view.written_by(query_name)
        started = query.state is not QueryState.NOT_STARTED
        damage = next((table.error for table in written if table.error), "")
        return QueryPulse(
            name,
            query.state,
            query.lag,
            topic.rate,
            self._complete_at(name, query, written),
            self._growing(name, query.lag, now.timestamp()),
            query.error or damage or (topic.error if started else ""),
        )

    def _complete_at(self, name: str, query: QueryView, written: Sequence[Reading]) -> datetime | None:
        moments = [*(table.committed_at for table in written), query.progressed_at]
        if query.lag == 0:
            moments.append(query.reported_at)
        if not written:  # it answers: where nobody has asked for an hour, the last answer is old, and nothing is late
            moments.append(self._all_answered.get(name))
        complete = max((at for at in moments if at), default=None)
        if query.lag == 0 and complete:
            self._all_answered[name] = complete
        return complete

    def _growing(self, name: str, lag: int | None, at: float) -> bool:
        with self._lock:
            kept = self._lags.setdefault(name, deque(maxlen=400))
            if lag is not None and (not kept or at - kept[-1][0] >= GROWING_SECONDS / 40):
                kept.append((at, lag))
            return growing(tuple(kept), at)


def title(pulse: Pulse, queries: Sequence[QueryPulse], taken_at: datetime, newest: datetime | None) -> str:
    """The facts behind the pill, one a line."""
    lags = [f"Lag of {query.name}: {_lag(query)}" for query in queries]
    event = f"Last event: {_clock(newest)}" if newest else "Last event: none yet"
    return "\n".join([pulse.why, *lags, f"Last snapshot: {_clock(taken_at)}", event])


def _lag(query: QueryPulse) -> str:
    events = "unknown" if query.lag is None else f"{query.lag:,} events"
    if query.state is QueryState.RUNNING:
        return events
    return f"{events} ({'never run' if query.state is QueryState.NOT_STARTED else query.state})"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


_watch = Watch()


def beat(snapshot: Snapshot | None, now: datetime) -> dict[str, Any]:
    """The answer that a page polls every 2 s: the clock, the newest version, and the pill."""
    answer: dict[str, Any] = {"now": now.timestamp(), "version": None}
    if snapshot is None:
        return answer | {"status": "connecting", "word": "CONNECTING", "title": "Waiting for the first snapshot."}
    pulse, words = _watch.pulse(snapshot, now)
    since = pulse.since.timestamp() if pulse.since else None
    answer |= {"version": snapshot.version, "taken_at": snapshot.taken_at.timestamp()}
    return answer | {"status": pulse.status, "word": pulse.word, "since": since, "title": words or pulse.why}
