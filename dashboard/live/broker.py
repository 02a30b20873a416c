"""What the broker and the streaming queries say of themselves: events on the topic, lag, last batch."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from lakehouse.core import run_state
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.ops import status
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints, lag, progress_metrics

BEHIND_SECONDS = 30  # a query that is this far behind the topic is catching up
FULL_LOOK = 60  # every so many questions the broker is asked for everything: old events leave, partitions are added
SILENT_SECONDS = 2.5  # a query reports every second; silent for longer and without its process, it has ended
NO_BROKER = "The Kafka broker does not answer. Check that it runs: `lake status`."
ANSWER_SECONDS = 1.0  # a broker that answers does so in milliseconds
SILENT_AFTER = 15.0  # seconds without a sign of life after which a query or the broker counts as gone
Offsets = Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class TopicView:
    """A topic: the events it has ever been given, how many come per second now, and what is wrong if anything is."""

    name: str
    events: int | None = None
    rate: float | None = None
    ends: tuple[tuple[tuple[str, int], int], ...] = ()
    starts: tuple[tuple[tuple[str, int], int], ...] = ()
    error: str = ""


@dataclass(frozen=True)
class QueryView:
    """A streaming query; `state` is 'not started', 'running' or 'stopped', `lag` is None when the broker is silent."""

    name: str
    state: str = "not started"
    batch_id: int | None = None
    lag: int | None = None
    rows_per_second: float | None = None
    batch_seconds: float | None = None
    progressed_at: datetime | None = None
    error: str = ""
    reported_at: datetime | None = field(default=None, compare=False)  # moves every second: no news by itself


@dataclass(frozen=True)
class ProcessView:
    """A process of `lake up`: its state as the supervisor wrote it, or 'stopped' when it is gone without a word."""

    name: str
    state: str
    restarts: int = 0
    last_error: str = ""


def process_views() -> tuple[ProcessView, ...]:
    """What the last `lake up` started, in its order; none when nothing was started that way."""
    alive = {process.get("name") for process in status.running_processes()}
    listed = run_state.read_json(run_state.processes_file()).get("processes") or []
    return tuple(_process(process, process.get("name") in alive) for process in listed)


def _process(process: Mapping[str, Any], alive: bool) -> ProcessView:
    told = str(process.get("state") or "")
    ended = told if told in ("finished", "failed", "backing off") else "stopped"
    restarts, error = int(process.get("restarts") or 0), str(process.get("last_error") or "")
    return ProcessView(str(process.get("name")), told if alive else ended, restarts, error)


class TopicWatch:
    """Asks the broker for a topic's offsets in a thread of its own, so that a silent broker holds up nobody."""

    def __init__(self, topic: str, seconds: float = 1.0) -> None:
        self.name = topic
        self._view = TopicView(topic, error="The Kafka broker has not been asked yet.")
        self._seconds = seconds
        self._heard_at = time.monotonic()
        self._meter = lag.RateMeter()
        self._known: topics.TopicState | None = None
        self._brokers = ""
        self._asked = 0

    def start(self) -> None:
        """Ask every second until the process ends."""
        threading.Thread(target=self._run, name=f"topic-{self._view.name}", daemon=True).start()

    def view(self) -> TopicView:
        """The last answer; an error when it is too old to be believed."""
        silent = time.monotonic() - self._heard_at
        if silent > SILENT_AFTER and not self._view.error:
            return replace(self._view, rate=None, error=NO_BROKER)
        return self._view

    def _run(self) -> None:
        while True:
            try:
                self.ask()
            except Exception:  # while it fails, as when the broker's address goes away between two looks
                self._fail(NO_BROKER)
            time.sleep(self._seconds)

    def ask(self) -> None:
        """One question to the broker; the answer, or what is wrong, is in `view()` afterwards."""
        name = self._view.name
        try:
            ends = self._ends(name)
        except TimeoutError:
            # Slow, or gone? Only who refuses a connection is gone for certain; the slow one has its SILENT_AFTER.
            if not topics.listens(settings().brokers()):
                self._fail(NO_BROKER)
        except LakeError as error:
            self._fail(str(error))
        except Exception:  # the client raises many types; for the reader they all mean this
            self._fail(NO_BROKER)
        else:
            if ends is None:
                self._fail(f"The broker has no topic {name} yet.")
                return
            self._heard_at = time.monotonic()
            events = sum(ends.values())
            rate = self._meter.add(events, self._heard_at)
            starts = self._known.starts if self._known else {}
            self._view = TopicView(
                name, events, None if rate is None else round(rate, 1), _flat(name, ends), _flat(name, starts)
            )

    def _ends(self, name: str) -> dict[int, int] | None:
        brokers = settings().brokers()
        self._asked += 1
        if self._known is None or brokers != self._brokers or self._asked % FULL_LOOK == 0:
            self._known, self._brokers = topics.state(brokers, name), brokers
            return self._known.ends if self._known else None
        return topics.end_offsets(brokers, name, self._known.ends, ANSWER_SECONDS)

    def _fail(self, sentence: str) -> None:
        self._known = None
        self._view = replace(self._view, rate=None, error=sentence)


def _flat(topic: str, offsets: Mapping[int, int]) -> tuple[tuple[tuple[str, int], int], ...]:
    return tuple(((topic, partition), offset) for partition, offset in sorted(offsets.items()))


def query_view(domain: str, query: str, topic: TopicView, now: datetime) -> QueryView:
    """What the query's checkpoint and its progress file say; a damaged checkpoint is an error of this part only."""
    try:
        done = checkpoints.last_committed(checkpoints.path(domain, query))
    except (OSError, ValueError, KeyError, TypeError):
        return QueryView(query, "stopped", error=f"The checkpoint of {domain}/{query} cannot be read.")
    progress = run_state.read_json(run_state.progress_file(domain, query))
    beat = moment(progress.get("written_at"))
    alive = is_alive(domain, query, progress, now)
    if done is None and beat is None:
        return QueryView(query)
    duration = progress_metrics.number((progress.get("durationMs") or {}).get("triggerExecution"))
    return QueryView(
        query,
        state="running" if alive else "stopped",
        batch_id=done.batch_id if done else None,
        lag=None if topic.error else lag.lag(dict(topic.ends), dict(topic.starts), done),
        rows_per_second=progress_metrics.number(progress.get("processedRowsPerSecond")) if alive else None,
        batch_seconds=None if duration is None else duration / 1000,
        progressed_at=moment(progress.get("timestamp")),
        reported_at=beat,
    )


def is_alive(domain: str, query: str, progress: Mapping[str, Any], now: datetime) -> bool:
    """Whether the query runs: it has reported lately, without an error, and its process is not known to be gone."""
    beat = moment(progress.get("written_at"))
    if beat is None or progress.get("error") or (now - beat).total_seconds() >= SILENT_AFTER:
        return False
    return not ended(checkpoints.path(domain, query), beat, now)


def ended(checkpoint: Path, written: datetime | None, now: datetime) -> bool:
    """Whether the process that runs a query is gone: the lock names its pid, and the query has been silent besides.

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
    """The time that a progress file writes; None where it writes none."""
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
