"""Each streaming query as pages show it: its files, its process and its topic put together."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from dashboard.live.broker import BEHIND_SECONDS, TopicView
from lakehouse.core.states import ProcessState, QueryState
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.ops.status import ProcessView
from lakehouse.streaming import lag, query_state
from lakehouse.streaming.checkpoints import BatchPlan
from lakehouse.streaming.query_state import Progress, QueryFiles

_UNITS = {"m": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
FRESH_SECONDS = 10.0  # a batch may take that long where the query takes no pause: a page must not be older
NEAR = 0.5  # of what a topic still has: more than that unread, and retention is near
_TONES = {
    QueryState.CATCHING_UP: "warn",
    QueryState.RUNNING: "ok",
    QueryState.STOPPED: "error",
    QueryState.FAILED: "error",
    QueryState.REFUSED: "error",
    QueryState.RESTARTING: "warn",
    QueryState.SILENT: "error",
}


@dataclass(frozen=True)
class QueryView:
    """A streaming query; `state` is not started, running or stopped, `lag` is None when the broker is silent."""

    name: str
    state: QueryState = QueryState.NOT_STARTED
    batch_id: int | None = None
    lag: int | None = None
    rows_per_second: float | None = None
    batch_seconds: float | None = None
    progressed_at: datetime | None = None
    error: str = ""
    reported_at: datetime | None = field(default=None, compare=False)  # moves every second: no news by itself


def query_view(domain: str, query: str, topic: TopicView, now: datetime) -> QueryView:
    """The query as its files show it; a damaged checkpoint is an error of this query only."""
    files = query_state.read(domain, query, now)
    if files.error:
        return QueryView(query, QueryState.STOPPED, error=files.error)
    batch, progress = files.batch, files.progress or Progress()
    if batch is None and progress.written_at is None:
        return QueryView(query)
    return QueryView(
        query,
        state=QueryState.RUNNING if files.alive else QueryState.STOPPED,
        batch_id=batch.batch_id if batch else None,
        lag=None if topic.error else lag.lag(dict(topic.ends), dict(topic.starts), batch),
        rows_per_second=progress.processed_rate if files.alive else None,
        batch_seconds=progress.batch_seconds,
        progressed_at=progress.progressed_at,
        reported_at=progress.written_at,
    )


@dataclass(frozen=True)
class PartitionLag:
    """How far a query has read one partition; `lag` is None while the broker is silent."""

    topic: str
    partition: int
    read: int
    end: int | None
    lag: int | None

    @property
    def where(self) -> TopicPartition:
        """Topic and partition."""
        return self.topic, self.partition


@dataclass(frozen=True)
class QueryHealth:
    """A streaming query at one moment; numbers that are not known are None."""

    domain: str
    name: str
    state: QueryState = QueryState.NOT_STARTED
    trigger: str = ""
    batch_id: int | None = None
    input_rate: float | None = None
    processed_rate: float | None = None
    batch_seconds: float | None = None
    allowed_seconds: float = FRESH_SECONDS
    partitions: tuple[PartitionLag, ...] = ()
    lag: int | None = None
    watermark: datetime | None = None
    state_rows: int | None = None
    state_bytes: int | None = None
    durations: tuple[tuple[str, int], ...] = ()
    restarts: int | None = None
    last_error: str = ""
    progressed_at: datetime | None = None
    unread: float | None = None  # share of what the topic still has, where retention has begun to take records
    latency_ms: tuple[float, float] | None = None  # p50 and p95 of a query in real-time mode

    @property
    def full_name(self) -> str:
        """<domain>.<query>, as it is called everywhere."""
        return f"{self.domain}.{self.name}"

    @property
    def lags(self) -> dict[TopicPartition, int | None]:
        """The lag of each partition."""
        return {part.where: part.lag for part in self.partitions}

    @property
    def load(self) -> float | None:
        """The last batch against the time it may take; above 1 it cannot keep up."""
        return None if self.batch_seconds is None else self.batch_seconds / self.allowed_seconds

    @property
    def tone(self) -> str:
        """The state as a colour: ok, warn, error or off."""
        return _TONES.get(self.state, "off")


def seconds_of(interval: str) -> float:
    """'10 seconds' as 10.0; 0 for a text that is no interval."""
    found = re.fullmatch(r"\s*([\d.]+)\s*(milli|ms|m|s|h)?.*", interval)
    if not found:
        return 0.0
    unit = {"milli": "m", "ms": "m", "m": "min"}.get(found[2] or "s", found[2] or "s")
    return float(found[1]) * _UNITS[unit]


def query_health(domain: str, query: str, topic: TopicView, process: ProcessView | None, now: datetime) -> QueryHealth:
    """The query as it is now; a damaged checkpoint is an error of this query only."""
    restarts, process_error = (process.restarts, process.last_error) if process else (None, "")
    files = query_state.read(domain, query, now)
    if files.error:
        return QueryHealth(domain, query, QueryState.FAILED, restarts=restarts, last_error=files.error)
    batch, progress = files.batch, files.progress or Progress()
    partitions = _partitions(topic, batch)
    lags = [partition.lag for partition in partitions if partition.lag is not None]
    unread = None if topic.error or not lags else sum(lags)
    state = _state(files, unread, topic, process, now)
    alive = state in (QueryState.RUNNING, QueryState.CATCHING_UP)
    return QueryHealth(
        domain,
        query,
        state=state,
        trigger=progress.trigger,
        batch_id=batch.batch_id if batch else None,
        input_rate=progress.input_rate if alive else None,
        processed_rate=progress.processed_rate if alive else None,
        batch_seconds=progress.batch_seconds,
        allowed_seconds=seconds_of(progress.trigger) or FRESH_SECONDS,
        partitions=partitions,
        lag=unread,
        watermark=batch.watermark if batch else None,
        state_rows=progress.state_rows,
        state_bytes=progress.state_bytes,
        durations=progress.durations,
        latency_ms=progress.latency_ms if alive else None,
        restarts=restarts if progress.restarts is None else (restarts or 0) + progress.restarts,
        last_error=progress.error or process_error or progress.last_error,
        progressed_at=progress.progressed_at,
        unread=_unread(topic, partitions),
    )


def _state(
    files: QueryFiles, unread: int | None, topic: TopicView, process: ProcessView | None, now: datetime
) -> QueryState:
    """What the files say, unless the supervisor, which knows at once, says that the process does not run."""
    supervised = process.state if process else None
    down = supervised in (ProcessState.STOPPED, ProcessState.FAILED, ProcessState.BACKING_OFF)
    if files.alive and not down:
        behind = (unread or 0) > BEHIND_SECONDS * max(topic.rate or 0, 10)
        return QueryState.CATCHING_UP if behind else QueryState.RUNNING
    restarting = files.progress is not None and files.progress.is_restarting(now) and not down
    if supervised in (ProcessState.BACKING_OFF, ProcessState.STARTING) or restarting:
        return QueryState.RESTARTING
    if supervised == ProcessState.FAILED or (files.progress and files.progress.error):
        refused = files.progress is not None and files.progress.state == QueryState.REFUSED
        return QueryState.REFUSED if refused else QueryState.FAILED
    if files.batch is None and files.progress is None:
        return QueryState.NOT_STARTED
    return QueryState.SILENT if supervised == ProcessState.RUNNING else QueryState.STOPPED


def _partitions(topic: TopicView, done: BatchPlan | None) -> tuple[PartitionLag, ...]:
    starts, ends, read = dict(topic.starts), dict(topic.ends), dict(done.ends if done else {})
    return tuple(
        PartitionLag(where[0], where[1], *_lag(read.get(where, starts.get(where, 0)), ends.get(where), topic.error))
        for where in sorted(ends.keys() | read.keys())
    )


def _unread(topic: TopicView, partitions: tuple[PartitionLag, ...]) -> float | None:
    """The largest share of a partition's records that is unread, above a half and where the oldest are gone already."""
    starts = dict(topic.starts)
    shares = [
        min(1.0, part.lag / (part.end - first))  # above 1: some are gone already, and the next start is refused
        for part in partitions
        if part.lag and part.end and 0 < (first := starts.get((part.topic, part.partition), 0)) < part.end
    ]
    share = max(shares, default=0.0)
    return round(share, 2) if share > NEAR else None


def _lag(read: int, end: int | None, error: str) -> tuple[int, int | None, int | None]:
    return read, end, None if end is None or error else max(0, end - read)
