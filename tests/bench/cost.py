"""What a command costs: seconds from start to end, CPU seconds, peak memory; of it and of all that it starts."""

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil

from lakehouse.settings import ROOT

EVERY = 0.25  # seconds between two looks at the memory


@dataclass(frozen=True)
class Cost:
    """Seconds, CPU seconds and peak PSS in MB of one run."""

    seconds: float
    cpu: float
    peak_mb: float


def pss_mb(process: psutil.Process) -> float:
    """PSS of a process and its descendants in MB."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 1e6


def run(command: Sequence[str], env: Mapping[str, str]) -> Cost:
    """Run the command to its end. Raises CalledProcessError, with its output, when it fails."""
    log = Path(env["LAKE_VAR"]).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        began = monotonic()
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=output, stderr=output)
        ended, peak = threading.Event(), [0.0]
        watcher = threading.Thread(target=_watch, args=(process.pid, ended, peak))
        watcher.start()
        _pid, status, used = os.wait4(process.pid, 0)  # with the JVM's, which its parent has waited for
        seconds = monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, log.read_text(errors="replace")[-3000:])
    return Cost(seconds, used.ru_utime + used.ru_stime, peak[0])


def _watch(pid: int, ended: threading.Event, peak: list[float]) -> None:
    while not ended.wait(EVERY):
        try:
            peak[0] = max(peak[0], pss_mb(psutil.Process(pid)))
        except psutil.NoSuchProcess:
            return
