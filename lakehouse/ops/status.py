"""What runs and how far it is: processes with their memory, topics with the lag of each query. Needs no JVM."""

import signal
import time
from collections.abc import Sequence
from typing import Any

import psutil

from lakehouse.contract.domain import Domain
from lakehouse.core import processes, run_state
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints


def running_processes() -> list[dict[str, Any]]:
    """The processes that the last `lake up` started and that are still alive, each checked against its start time."""
    listed = run_state.read_json(run_state.processes_file()).get("processes", [])
    return [process for process in listed if _alive(process)]


def _alive(process: dict[str, Any]) -> bool:
    return processes.find(process.get("pid"), process.get("create_time")) is not None


def _supervisor(known: dict[str, Any]) -> psutil.Process | None:
    """The `lake up` that wrote this, if it still runs."""
    return processes.find(known.get("supervisor_pid"), known.get("supervisor_create_time"))


def status() -> dict[str, Any]:
    """The platform's state: `running`, `processes` (name, pid, state, memory_mb, restarts), addresses and lake root.

    Memory is the PSS of the process and its children in MB: shared pages are counted once.
    """
    known = run_state.read_json(run_state.processes_file())
    listed = []
    for process in known.get("processes", []):
        alive = _alive(process)
        kept = ("name", "pid", "state", "restarts", "started_at", "last_error")
        ended = process["state"] if process["state"] in ("finished", "failed", "backing off") else "stopped"
        entry = {**{name: process[name] for name in kept}, "state": process["state"] if alive else ended}
        listed.append({**entry, "memory_mb": _memory_mb(process["pid"]) if alive else 0})
    supervisor = _supervisor(known)
    running = supervisor is not None and any(entry["memory_mb"] for entry in listed)
    if running and supervisor is not None:
        own = {"name": "lake up", "pid": supervisor.pid, "state": "running", "restarts": 0, "last_error": ""}
        listed.append(
            {**own, "started_at": known.get("started_at"), "memory_mb": _memory_mb(supervisor.pid, alone=True)}
        )
    return {
        "running": running,
        "processes": listed,
        "bootstrap_servers": known.get("bootstrap_servers"),
        "dashboard_url": known.get("dashboard_url"),
        "spark_ui_urls": _spark_ui_urls(known),
        "lake_root": str(settings().lake),
        "domains": known.get("domains", []),
    }


def _spark_ui_urls(known: dict[str, Any]) -> dict[str, str]:
    files = {domain: run_state.read_json(run_state.spark_file(domain)) for domain in known.get("domains", [])}
    return {domain: file["ui"] for domain, file in files.items() if file.get("ui")}


def _memory_mb(pid: int, alone: bool = False) -> int:
    try:
        process = psutil.Process(pid)
        members = [process] if alone else [process, *process.children(recursive=True)]
        return int(sum(_pss(member) for member in members) / 1e6)
    except psutil.NoSuchProcess:
        return 0


def _pss(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def topic_rows(domains: Sequence[Domain]) -> list[dict[str, Any]]:
    """A row per topic and partition: first and next offset, and for each query its next offset and lag.

    Lag is the end offset less the last committed batch's; None for a topic that no query reads.
    """
    bootstrap_servers = settings().brokers()
    topics.check(bootstrap_servers)
    rows: list[dict[str, Any]] = []
    for domain in domains:
        committed = {
            query: checkpoints.last_committed(checkpoints.path(domain.name, query)) for query in domain.queries
        }
        for topic in domain.topics:
            found = topics.state(bootstrap_servers, topic.name)
            if found is None:
                continue
            read = topic is domain.topics[0]
            for partition, end in found.ends.items():
                lags = {
                    query: end - (plan.ends.get((topic.name, partition), 0) if plan else 0) if read else None
                    for query, plan in committed.items()
                }
                start = found.starts[partition]
                rows.append({"topic": topic.name, "partition": partition, "start": start, "end": end, "lag": lags})
    return rows


def down(timeout: float = 120.0) -> list[str]:
    """Stop what `lake up` started; the names of what ran. Raises LakeError when they do not end in time.

    Signals go only to a process that has the start time noted with its pid: after a crash a pid may be another's.
    """
    known = run_state.read_json(run_state.processes_file())
    alive = running_processes()
    supervisor = _supervisor(known)
    names = [process["name"] for process in alive]
    if supervisor:
        processes.send(supervisor, signal.SIGTERM)
    else:  # the supervisor was killed: its children are ours to stop, last started first
        for process in reversed(alive):
            if found := processes.find(process["pid"], process["create_time"]):
                processes.send(found, process.get("stop_signal") or signal.SIGTERM)
    until = time.monotonic() + timeout
    while _supervisor(known) or any(_alive(process) for process in alive):
        if time.monotonic() > until:
            raise LakeError(
                f"Not stopped within {timeout:.0f} s: {', '.join(names)}.", "`lake status` shows their pids."
            )
        time.sleep(0.1)
    if run_state.read_json(run_state.processes_file()).get("supervisor_pid") == known.get("supervisor_pid"):
        run_state.processes_file().unlink(missing_ok=True)  # left behind by a supervisor that was killed
    return names
