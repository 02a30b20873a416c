"""Each streaming query as the Health page sees it: checkpoint, progress file, supervisor and broker put together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from dashboard.live import broker
from dashboard.live.broker import TopicView
from lakehouse.core import run_state
from lakehouse.streaming import checkpoints, progress_metrics
from lakehouse.streaming.checkpoints import BatchPlan

_UNITS = {"m": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
FRESH_SECONDS = 10.0  # what a batch is held against where the query takes no pause: a page must not be older
NEAR = 0.5  # of what a topic still has: more than that unread, and retention is near
_WORDS = {
    "catching up": "warn",
    "running": "ok",
    "stopped": "error",
    "failed": "error",
    "restarting": "warn",
    "silent": "error",
}


class Supervised(Protocol):
    """The stream's process as the supervisor sees it."""

    @property
    def state(self) -> str: ...
    @property
    def restarts(self) -> int: ...
    @property
    def last_error(self) -> str: ...


@dataclass(frozen=True)
class PartitionLag:
    """How far a query has read one partition; `lag` is None while the broker is silent."""

    topic: str
    partition: int
    read: int
    end: int | None
    lag: int | None


@dataclass(frozen=True)
class QueryHealth:
    """A streaming query at one moment; numbers that are not known are None."""

    domain: str
    name: str
    state: str = "not started"  # running, catching up, silent, stopped, failed, restarting
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

    @property
    def full_name(self) -> str:
        """<domain>.<query>, as it is called everywhere."""
        return f"{self.domain}.{self.name}"

    @property
    def load(self) -> float | None:
        """The last batch against the time it may take; above 1 it cannot keep up."""
        return None if self.batch_seconds is None else self.batch_seconds / self.allowed_seconds

    @property
    def tone(self) -> str:
        """The state as a colour: ok, warn, error or off."""
        return _WORDS.get(self.state, "off")


def seconds_of(interval: str) -> float:
    """'10 seconds' as 10.0; 0 where it cannot be told."""
    found = re.fullmatch(r"\s*([\d.]+)\s*(milli|ms|m|s|h)?.*", interval)
    if not found:
        return 0.0
    unit = {"milli": "m", "ms": "m", "m": "min"}.get(found[2] or "s", found[2] or "s")
    return float(found[1]) * _UNITS[unit]


def query_health(domain: str, query: str, topic: TopicView, process: Supervised | None, now: datetime) -> QueryHealth:
    """The query as it is now; a damaged checkpoint is an error of this query only."""
    restarts, told = (process.restarts, process.last_error) if process else (None, "")
    try:
        done = checkpoints.last_committed(checkpoints.path(domain, query))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        sentence = f"The checkpoint of {domain}/{query} cannot be read."
        return QueryHealth(domain, query, "failed", restarts=restarts, last_error=sentence)
    progress = run_state.read_json(run_state.progress_file(domain, query))
    partitions = _partitions(topic, done)
    lags = [partition.lag for partition in partitions if partition.lag is not None]
    lag = None if topic.error or not lags else sum(lags)
    trigger = str(progress.get("trigger") or "")
    alive = _supervised(process) and broker.is_alive(domain, query, progress, now)
    return QueryHealth(
        domain,
        query,
        state=_state(progress, done, lag, topic, process, alive, _supervised(process) and _again(progress, now)),
        trigger=trigger,
        batch_id=done.batch_id if done else None,
        allowed_seconds=seconds_of(trigger) or FRESH_SECONDS,
        partitions=partitions,
        lag=lag,
        watermark=done.watermark if done else None,
        restarts=_restarts(restarts, progress),
        last_error=str(progress.get("error") or told or progress.get("last_error") or ""),
        progressed_at=broker.moment(progress.get("timestamp")),
        unread=_unread(topic, partitions),
        **_measured(progress, alive),
    )


def _again(progress: Mapping[str, Any], now: datetime) -> bool:
    """Whether its own process is about to start the query again."""
    beat = broker.moment(progress.get("written_at"))
    fresh = beat is not None and (now - beat).total_seconds() < broker.SILENT_AFTER
    return fresh and progress.get("state") == "backing off"


def _restarts(of_process: int | None, progress: Mapping[str, Any]) -> int | None:
    """How often the query was started again: with its process, and within it."""
    within = progress_metrics.number(progress.get("restarts"))
    return of_process if within is None else (of_process or 0) + int(within)


def _measured(progress: Mapping[str, Any], alive: bool) -> dict[str, Any]:
    """The numbers of the last progress; a query that is not alive has no rate."""
    told = progress_metrics.of_progress(progress)
    rows = told["state_rows"]
    memory = [
        progress_metrics.number(operator.get("memoryUsedBytes")) for operator in progress.get("stateOperators") or []
    ]
    parts = {name: progress_metrics.number(value) for name, value in (progress.get("durationMs") or {}).items()}
    return {
        "input_rate": told["input"] if alive else None,
        "processed_rate": told["processed"] if alive else None,
        "batch_seconds": told["seconds"],
        "state_rows": None if rows is None else int(rows),
        "state_bytes": int(sum(size or 0 for size in memory)) if memory else None,
        "durations": tuple((name, int(value)) for name, value in sorted(parts.items()) if value is not None),
    }


def _supervised(process: Supervised | None) -> bool:
    """Whether its supervisor, where it has one, has it running: that is known at once."""
    return process is None or process.state not in ("stopped", "failed", "backing off")


def _state(
    progress: Mapping[str, Any],
    done: BatchPlan | None,
    lag: int | None,
    topic: TopicView,
    process: Supervised | None,
    alive: bool,
    again: bool,
) -> str:
    supervised = process.state if process else ""
    if alive:
        behind = (lag or 0) > broker.BEHIND_SECONDS * max(topic.rate or 0, 10)
        return "catching up" if behind else "running"
    if supervised in ("backing off", "starting") or again:
        return "restarting"
    if supervised == "failed" or progress.get("error"):
        return "failed"
    if done is None and not progress:
        return "not started"
    return "silent" if supervised == "running" else "stopped"


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


def gap(watermark: datetime | None, now: datetime | None = None) -> float | None:
    """Seconds from the watermark to now."""
    return None if watermark is None else ((now or datetime.now(UTC)) - watermark).total_seconds()
