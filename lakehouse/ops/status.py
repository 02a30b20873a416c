"""What runs and how far it is: processes with their memory, topics with the lag of each query. Needs no JVM."""

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from lakehouse.contract.domain import Domain
from lakehouse.core import processes, run_state
from lakehouse.core.run_state import LakeRecord, ProcessRecord
from lakehouse.core.states import ProcessState, QueryState
from lakehouse.errors import LakeError, NewerFormatError
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints, lag

_ENDED = (ProcessState.FINISHED, ProcessState.FAILED, ProcessState.BACKING_OFF)


@dataclass(frozen=True)
class ProcessView:
    """A process of `lake up`: its state as the supervisor wrote it, or stopped when it is gone and nobody wrote that.

    `memory_mb` is None where it was not measured.
    """

    name: str
    state: ProcessState
    restarts: int = 0
    last_error: str = ""
    pid: int | None = None
    started_at: str = ""
    memory_mb: int | None = None
    queries: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueryStatus:
    """A streaming query of a process of `lake up`, as it has reported itself; `error` is empty while it runs."""

    name: str
    process: str
    state: str
    error: str = ""


@dataclass(frozen=True)
class LakeStatus:
    """The platform's state: what `lake status --json` shows. A process that does not run has no memory."""

    running: bool
    processes: tuple[ProcessView, ...]
    bootstrap_servers: str | None
    dashboard_url: str | None
    spark_ui_urls: dict[str, str]
    lake_root: str
    domains: tuple[str, ...]
    queries: tuple[QueryStatus, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def running_processes() -> list[ProcessRecord]:
    """The processes that the last `lake up` started and that still run."""
    return [process for process in run_state.read_lake().processes if _find(process)]


def _find(process: ProcessRecord) -> psutil.Process | None:
    return processes.find(process.pid, process.create_time)


def _supervisor(lake: LakeRecord) -> psutil.Process | None:
    """The `lake up` that wrote this, if it still runs."""
    return processes.find(lake.supervisor_pid, lake.supervisor_create_time)


def process_views(lake: LakeRecord | None = None) -> tuple[ProcessView, ...]:
    """What the last `lake up` started, in its order; none when nothing was started that way."""
    return tuple(_view(process) for process in (lake or run_state.read_lake()).processes)


def shown_views() -> tuple[ProcessView, ...]:
    """As `process_views`, for a page: what a newer version of the platform started is left out."""
    with suppress(NewerFormatError):
        return process_views()
    return ()


def process_of(query: str, views: Sequence[ProcessView]) -> ProcessView | None:
    """The process that runs the query, by its full name; None when `lake up` has started none.

    In the file of a version that did not write down queries, it is the one called `<domain>.stream`.
    """
    old_name = f"{query.partition('.')[0]}.stream"
    return next((view for view in views if query in view.queries or (view.name == old_name and not view.queries)), None)


def _view(process: ProcessRecord) -> ProcessView:
    ended = process.state if process.state in _ENDED else ProcessState.STOPPED
    state = process.state if _find(process) else ended
    started = (process.pid, process.started_at)
    return ProcessView(process.name, state, process.restarts, process.last_error, *started, queries=process.queries)


def read_status() -> LakeStatus:
    """The platform's state now, with the memory of each process."""
    lake = run_state.read_lake()
    views = tuple(_measured(view, process) for view, process in zip(process_views(lake), lake.processes, strict=True))
    supervisor = _supervisor(lake)
    running = supervisor is not None and any(view.memory_mb for view in views)
    if running and supervisor is not None:
        memory = processes.memory_mb(supervisor.pid, alone=True)
        own = ProcessView("lake up", ProcessState.RUNNING, 0, "", supervisor.pid, lake.started_at, memory)
        views = (*views, own)
    uis = {domain: run_state.spark_ui(domain) for domain in lake.domains}
    return LakeStatus(
        running,
        views,
        lake.bootstrap_servers,
        lake.dashboard_url,
        {domain: url for domain, url in uis.items() if url},
        str(settings().lake),
        lake.domains,
        tuple(query_status(query, process) for process in lake.processes for query in process.queries),
    )


def query_status(name: str, process: ProcessRecord) -> QueryStatus:
    """The query of the process. Of a process that does not run, the query is stopped.

    What an earlier process has reported does not count.
    """
    if not _find(process):
        return QueryStatus(name, process.name, QueryState.STOPPED)
    file = run_state.progress_file(*name.split(".", 1))
    values = run_state.read_json(file) if _is_of(file, process) else {}
    state, error = (str(values.get(key) or "") for key in ("state", "error"))
    return QueryStatus(name, process.name, state or QueryState.NOT_STARTED, error)


def _is_of(file: Path, process: ProcessRecord) -> bool:
    """Whether the file was written since the process was started; yes where an older version wrote no start."""
    try:
        return not process.started_at or file.stat().st_mtime > datetime.fromisoformat(process.started_at).timestamp()
    except (OSError, ValueError):
        return False


def query_errors(queries: Sequence[str]) -> dict[str, str]:
    """Those of the queries, by full name, that do not run, each with its reason."""
    reports = {query: run_state.read_json(run_state.progress_file(*query.split(".", 1))) for query in queries}
    return {query: str(values["error"]) for query, values in reports.items() if values.get("error")}


def _measured(view: ProcessView, process: ProcessRecord) -> ProcessView:
    found = _find(process)
    return replace(view, memory_mb=processes.memory_mb(found.pid) if found else 0)


def topic_rows(domains: Sequence[Domain]) -> list[dict[str, Any]]:
    """A row per topic and partition: first and next offset, and for each query its next offset and lag.

    Lag is the end offset less the last committed batch's; None for a topic that the query does not read.
    """
    bootstrap_servers = settings().brokers()
    topics.check(bootstrap_servers)
    rows: list[dict[str, Any]] = []
    for domain in domains:
        read = {query: tables.topic_names for query, tables in domain.query_tables.items()}
        committed = {
            query: checkpoints.last_committed(checkpoints.path(domain.name, query)) for query in domain.queries
        }
        found = topics.states(bootstrap_servers, [topic.name for topic in domain.topics])
        for where, end in found.ends.items():
            lags = {
                query: end - (plan.ends.get(where, 0) if plan else 0) if where[0] in read[query] else None
                for query, plan in committed.items()
            }
            topic, partition = where
            start = found.starts[where]
            rows.append({"topic": topic, "partition": partition, "start": start, "end": end, "lag": lags})
    return rows


def shown_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of topics as a terminal shows them: a topic with many partitions as one row, `all 100`, and the ten
    partitions that are the furthest behind.
    """
    by_topic: dict[str, dict[TopicPartition, Mapping[str, Any]]] = {}
    for row in rows:
        by_topic.setdefault(row["topic"], {})[row["topic"], row["partition"]] = row
    shown: list[dict[str, Any]] = []
    for parts in by_topic.values():
        furthest = {where: max((one or 0 for one in row["lag"].values()), default=0) for where, row in parts.items()}
        worst = lag.worst(furthest)
        if len(worst) < len(parts):
            shown.append(_summed(list(parts.values())))
        shown += [dict(parts[where]) for where in worst]
    return shown


def _summed(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sums = {key: sum(part[key] for part in parts) for key in ("start", "end")}
    lags = {query: lag.total([part["lag"][query] for part in parts]) for query in parts[0]["lag"]}
    return {"topic": parts[0]["topic"], "partition": f"all {len(parts):,}", **sums, "lag": lags}


def down(timeout: float = 120.0) -> list[str]:
    """Stop what `lake up` started; the names of what ran. Raises LakeError when they do not end in time.

    A signal goes only to a process with the start time in the file: after a crash its pid may be another process's.
    """
    lake = run_state.read_lake()
    alive = running_processes()
    names = [process.name for process in alive]
    if supervisor := _supervisor(lake):
        processes.send(supervisor, signal.SIGTERM)
    else:  # the supervisor was killed: its children are stopped here, the last started first
        for process in reversed(alive):
            if found := _find(process):
                processes.send(found, process.stop_signal)
    until = time.monotonic() + timeout
    while _supervisor(lake) or any(_find(process) for process in alive):
        if time.monotonic() > until:
            what = f"Not stopped within {timeout:.0f} s: {', '.join(names)}."
            raise LakeError(what, "`lake status` shows their pids.")
        time.sleep(0.1)
    if run_state.read_lake().supervisor_pid == lake.supervisor_pid:
        run_state.processes_file().unlink(missing_ok=True)  # left by a supervisor that was killed
    return names
