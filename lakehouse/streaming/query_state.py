"""What a streaming query's files say: its last batch from the checkpoint, its state from the progress file.

Needs no JVM. The progress file is written by the query's process every second; `Progress` is its record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from lakehouse.core import records, run_state
from lakehouse.core.states import QueryState
from lakehouse.errors import NewerFormatError
from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.streaming import checkpoints, progress_metrics
from lakehouse.streaming.checkpoints import BatchPlan
from lakehouse.streaming.progress_metrics import number

SILENT_SECONDS = 2.5  # a query reports every second; silent for longer and without its process, it has ended
REAL_TIME = "real-time"  # how the trigger of such a query begins
SILENT_AFTER = 15.0  # seconds without a sign of life after which a query counts as gone


@dataclass(frozen=True)
class Progress:
    """A query's last report; numbers that it does not have are None, or 0 where they are counts of restarts."""

    written_at: datetime | None = None  # moves every second
    progressed_at: datetime | None = None  # of the last batch; in real-time mode of the last answer, if there is one
    state: str = ""
    error: str = ""  # empty while it runs
    last_error: str = ""
    restarts: int | None = None  # within its process
    trigger: str = ""
    input_rate: float | None = None
    processed_rate: float | None = None
    batch_seconds: float | None = None
    state_rows: int | None = None
    state_bytes: int | None = None
    durations: tuple[tuple[str, int], ...] = ()
    latency_ms: tuple[float, float] | None = None  # of a query in real-time mode: p50 and p95 of the last minute
    answered: Offsets = field(default_factory=dict)  # of such a query: up to where, committed or not
    format: int = run_state.FORMAT

    def is_recent(self, now: datetime) -> bool:
        """Whether it was written lately."""
        return self.written_at is not None and (now - self.written_at).total_seconds() < SILENT_AFTER

    def is_restarting(self, now: datetime) -> bool:
        """Whether the query's own process is about to restart it."""
        return self.is_recent(now) and self.state == QueryState.BACKING_OFF


@dataclass(frozen=True)
class QueryFiles:
    """A query as its files show it; `alive` is whether it runs, as far as they say."""

    batch: BatchPlan | None = None
    progress: Progress | None = None
    alive: bool = False
    error: str = ""  # checkpoint or progress cannot be read; then nothing else is known


def read(domain: str, query: str, now: datetime) -> QueryFiles:
    """What the query's files say now."""
    checkpoint = checkpoints.path(domain, query)
    try:
        batch = checkpoints.last_committed(checkpoint)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return QueryFiles(error=f"The checkpoint of {domain}/{query} cannot be read.")
    values = run_state.read_json(run_state.progress_file(domain, query))
    if not values:
        return QueryFiles(batch)
    try:
        progress = progress_of(values)
    except NewerFormatError as error:
        return QueryFiles(error=f"The progress of {domain}/{query} cannot be read. {error}")
    batch = _with_answered(batch, progress.answered)
    reports = progress.is_recent(now) and not progress.error
    return QueryFiles(batch, progress, reports and not has_ended(checkpoint, progress.written_at, now))


def _with_answered(batch: BatchPlan | None, answered: Offsets) -> BatchPlan | None:
    """The batch, and what was answered since: in real-time mode a batch is committed once a minute."""
    if not answered:
        return batch
    known = batch or BatchPlan(0, {}, None)  # the first one is under way
    return replace(known, ends={**known.ends, **{at: max(end, known.ends.get(at, 0)) for at, end in answered.items()}})


def progress_of(values: Mapping[str, Any]) -> Progress:
    """The record of a progress file's content, of any format so far.

    Raises NewerFormatError when a newer version of the platform wrote it.
    """
    stored = records.check_format(values, run_state.FORMAT, "The progress file")
    rates = progress_metrics.of_progress(values)
    operators = values.get("stateOperators") or []
    memory = [number(operator.get("memoryUsedBytes")) for operator in operators]
    durations = {name: number(value) for name, value in (values.get("durationMs") or {}).items()}
    trigger = str(values.get("trigger") or "")
    latency = values.get("latency_ms")
    return Progress(
        written_at=moment(values.get("written_at")),
        progressed_at=moment(values.get("answered_at")) or moment(values.get("timestamp")),  # a batch lasts a minute
        state=str(values.get("state") or ""),
        error=str(values.get("error") or ""),
        last_error=str(values.get("last_error") or ""),
        restarts=_whole(number(values.get("restarts"))),
        trigger=trigger,
        input_rate=rates["input"],
        processed_rate=rates["processed"],
        batch_seconds=None if trigger.startswith(REAL_TIME) else rates["seconds"],  # it lasts as long as it is to
        state_rows=_whole(rates["state_rows"]),
        state_bytes=int(sum(size or 0 for size in memory)) if memory else None,
        durations=tuple((name, int(value)) for name, value in sorted(durations.items()) if value is not None),
        latency_ms=(float(latency["p50"]), float(latency["p95"])) if latency else None,
        answered={(str(topic), int(partition)): int(end) for topic, partition, end in values.get("answered") or ()},
        format=stored,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def has_ended(checkpoint: Path, written: datetime | None, now: datetime) -> bool:
    """Whether the process that runs a query is gone: the pid in its lock is gone, and the query is silent.

    Silence alone may be a busy machine; a pid alone may be one of another container.
    """
    if written is not None and (now - written).total_seconds() < SILENT_SECONDS:
        return False
    lock = checkpoint.with_suffix(".lock")
    try:
        process = psutil.Process(int(lock.read_text()))
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > lock.stat().st_mtime + 1
    except (OSError, ValueError):
        return False  # nothing is known; the progress file decides
    except psutil.NoSuchProcess:
        return True


def moment(value: Any) -> datetime | None:
    """The time that a progress file has as text; None where it has none."""
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
