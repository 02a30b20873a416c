"""What the Health page shows, read every two seconds by one thread and kept as one object."""

import itertools
import logging
import math
import threading
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TextIO

from dashboard.live.broker import TopicView, TopicWatch, together
from dashboard.live.queries import QueryHealth, query_health
from lakehouse.audit import results
from lakehouse.contract import discovery
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.core import locks, run_state
from lakehouse.core.states import QueryState
from lakehouse.dead_letters import store
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.ops import status
from lakehouse.ops.status import ProcessView
from lakehouse.settings import settings
from lakehouse.streaming import lag
from lakehouse.streaming.progress_metrics import History, Recorder, Series
from lakehouse.tables import loads
from lakehouse.tables.reader import Reading, TableReader

SECONDS = 2.0
STALLED_SECONDS = 15.0
PARTITION_SECONDS = 900.0  # for which the lag of single partitions is kept
MEMORY_SECONDS = 10.0  # PSS is summed over every mapping of every process


@dataclass(frozen=True)
class HealthView:
    """Everything at one moment. `rates` and `lags` are the histories of queries by full name; `partition_lags` have the
    last 15 minutes of those partitions that were the furthest behind.

    `stamps` names the state of each part: equal stamps mean that a page would show the same.
    """

    taken_at: datetime
    queries: tuple[QueryHealth, ...] = ()
    topics: Mapping[str, tuple[TopicView, ...]] = field(default_factory=dict)
    rates: Mapping[str, Series] = field(default_factory=dict)
    lags: Mapping[str, Series] = field(default_factory=dict)
    partition_lags: Mapping[str, Series] = field(default_factory=dict)
    dead_letters: Mapping[str, Reading] = field(default_factory=dict)
    tables: tuple[tuple[str, str, Reading], ...] = ()
    processes: tuple[ProcessView, ...] = ()
    spark_uis: Mapping[str, str] = field(default_factory=dict)
    audits: Mapping[str, Any] = field(default_factory=dict)
    stamps: Mapping[str, str] = field(default_factory=dict)
    stalled: bool = False

    def as_of(self) -> datetime | str:
        """'live', or the time of the last look if the thread hangs."""
        return self.taken_at if self.stalled else "live"


PARTS = (
    "queries",
    "topics",
    "rates",
    "lags",
    "partition_lags",
    "dead_letters",
    "tables",
    "processes",
    "spark_uis",
    "audits",
)


class HealthWatch:
    """Looks at queries, topics, tables and processes of the domains; `view` is the last look."""

    def __init__(self, domains: Sequence[Domain], watched: Mapping[str, TopicWatch] | None = None) -> None:
        self._domains = tuple(domains)
        self._given = dict(watched or {})
        read = [topic for domain in domains for tables in domain.query_tables.values() for topic in tables.topics]
        names = dict.fromkeys(
            topic.name for topic in (*(topic for domain in domains for topic in domain.topics), *read)
        )
        self._own = {name: TopicWatch(name, seconds=2.0) for name in names if name not in self._given}
        queries = [f"{domain.name}.{query}" for domain in domains for query in domain.queries]
        self._rates = {name: History(name) for name in queries}
        self._lags = {name: History(f"{name}.lag") for name in queries}
        self._partition_lags = {name: History(f"{name}.partitions", PARTITION_SECONDS) for name in queries}
        self._recorders = {name: LagRecorder(name) for name in queries}
        self._dead = {domain.name: TableReader(domain.dead_letters, store.ByReason()) for domain in domains}
        self._tables = [TableReader(table, loads.shape) for domain in domains for table in domain.tables]
        self._memory: dict[str, int] = {}
        self._lock: TextIO | None = None
        self._boot = uuid.uuid4().hex[:8]
        self._numbers = itertools.count(1)
        self.view: HealthView | None = None

    def start(self) -> None:
        """Start watching, in threads that end with the process."""
        for watch in self._own.values():
            watch.start()
        threading.Thread(target=self._run, args=(self.look, SECONDS), name="health", daemon=True).start()
        memory = threading.Thread(target=self._run, args=(self.measure, MEMORY_SECONDS), name="memory", daemon=True)
        memory.start()

    def _run(self, look: Any, seconds: float) -> None:
        while True:
            began = time.monotonic()
            try:
                look()
            except BaseException:  # the page shows how old it is; the next look may succeed
                logging.getLogger(__name__).exception("The health of the platform could not be read.")
            time.sleep(max(0.1, seconds - (time.monotonic() - began)))

    def current(self, now: datetime) -> HealthView | None:
        """The last look; `stalled` when it is too old to be called live."""
        if self.view is None or (now - self.view.taken_at).total_seconds() < STALLED_SECONDS:
            return self.view
        return replace(self.view, stalled=True, stamps={part: f"{self.view.stamps[part]} stalled" for part in PARTS})

    def measure(self) -> None:
        """The memory of each process; slow."""
        self._memory = {process.name: process.memory_mb or 0 for process in status.read_status().processes}

    def look(self) -> HealthView:
        """Look at everything once; parts that have not changed are the same objects."""
        now = datetime.now(UTC)
        used = discovery.used()
        domains = [domain for domain in self._domains if domain.name in used]
        topics = {domain.name: tuple(self._topic(topic.name) for topic in domain.topics) for domain in domains}
        processes = self._processes()
        queries = tuple(
            query_health(
                domain.name, query, self._read_by(tables), status.process_of(f"{domain.name}.{query}", processes), now
            )
            for domain in domains
            for query, tables in domain.query_tables.items()
        )
        named = {query.full_name for query in queries}
        self._record(queries)
        view = HealthView(
            now,
            queries,
            topics,
            rates={name: history.read() for name, history in self._rates.items() if name in named},
            lags={name: history.read() for name, history in self._lags.items() if name in named},
            partition_lags={name: history.read() for name, history in self._partition_lags.items() if name in named},
            dead_letters={name: reader.read() for name, reader in self._dead.items() if name in topics},
            tables=self._read_tables(topics),
            processes=processes,
            spark_uis=_spark_uis(domains),
            audits=results.last_of(domain.name for domain in domains),
        )
        self.view = replace(view, stamps={part: self._stamp(part, view) for part in PARTS})
        return self.view

    def _stamp(self, part: str, view: HealthView) -> str:
        if self.view is not None and getattr(self.view, part) == getattr(view, part):
            return self.view.stamps[part]
        return f"{self._boot}-{next(self._numbers)}"

    def _read_tables(self, domains: Collection[str]) -> tuple[tuple[str, str, Reading], ...]:
        readers = [reader for reader in self._tables if reader.table.domain in domains]
        return tuple((reader.table.domain, reader.table.name, reader.read()) for reader in readers)

    def _topic(self, name: str) -> TopicView:
        return (self._given.get(name) or self._own[name]).view()

    def _read_by(self, tables: QueryTables) -> TopicView:
        return together([self._topic(name) for name in tables.topic_names])

    def _record(self, queries: Sequence[QueryHealth]) -> None:
        """Add the lags to their histories, if no other dashboard of this lake does."""
        if not self._may_record():
            return
        for query in queries:
            if query.lag is None or query.state is QueryState.NOT_STARTED:
                continue
            self._recorders[query.full_name].record(query)

    def _may_record(self) -> bool:
        try:
            self._lock = self._lock or locks.try_lock(settings().run / "metrics" / "lag.lock")  # until the process ends
        except OSError:  # a lake mounted to be read only, as the dashboard's in docker/compose.yaml
            return False
        return self._lock is not None

    def _processes(self) -> tuple[ProcessView, ...]:
        return tuple(replace(view, memory_mb=self._memory.get(view.name)) for view in status.shown_views())


def _spark_uis(domains: Sequence[Domain]) -> dict[str, str]:
    """Addresses of the Spark UIs by domain; only http addresses become links."""
    found = {domain.name: run_state.spark_ui(domain.name) for domain in domains}
    return {name: url for name, url in found.items() if url.startswith(("http://", "https://"))}


class LagRecorder:
    """Appends a query's lag to its series: in total and by topic for a day, of the worst partitions for an hour."""

    def __init__(self, query: str) -> None:
        self._totals, self._partitions = Recorder(f"{query}.lag"), Recorder(f"{query}.partitions", hours=1)

    def record(self, query: QueryHealth) -> None:
        """Add what the query's lag is now."""
        lags = query.lags
        sums = {topic_key(topic): one for topic, one in lag.by_topic(lags).items()}
        self._totals.record({"lag": query.lag, **sums})
        self._partitions.record({partition_key(where): lags[where] for where in lag.worst(lags)})


def topic_key(topic: str) -> str:
    """The name of a topic's lag in a series."""
    return f"{topic}:sum"


def partition_key(where: TopicPartition) -> str:
    """The name of a partition's lag in a series."""
    topic, partition = where
    return f"{topic}:{partition}"


def lags_of(view: HealthView, query: str, key: str, seconds: float) -> list[float | None]:
    """The query's lag of the last `seconds`, in total or by topic, for a sparkline; None where nobody measured it."""
    return _recent(view, view.lags, query, key, seconds)


def partition_lags_of(view: HealthView, query: str, where: TopicPartition) -> list[float | None]:
    """The same of one partition, over 15 minutes: it was measured while it was among the worst."""
    return _recent(view, view.partition_lags, query, partition_key(where), PARTITION_SECONDS)


def _recent(view: HealthView, series: Mapping[str, Series], query: str, key: str, seconds: float) -> list[float | None]:
    recent = series.get(query, Series()).since(view.taken_at.timestamp() - seconds)
    return [float(value) if math.isfinite(value) else None for value in recent.column(key)]
