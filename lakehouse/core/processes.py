"""Processes of this machine: finding the one that a file names, its memory and processor time, sending signals."""

from contextlib import suppress

import psutil

from lakehouse.errors import LakeError


def create_time(pid: int) -> float | None:
    """When the process was started, which with its pid identifies it; None when there is no such process."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def find(pid: object, created: object) -> psutil.Process | None:
    """The process with this pid and start time, if it still runs; None if the pid is another process's by now."""
    if not isinstance(pid, int) or not isinstance(created, int | float):
        return None
    try:
        found = psutil.Process(pid)
        ours = found.status() != psutil.STATUS_ZOMBIE and abs(found.create_time() - created) < 1
    except (psutil.NoSuchProcess, ValueError):
        return None
    return found if ours else None


def send(process: psutil.Process, number: int) -> None:
    """Send a signal, unless the process has ended meanwhile. Raises LakeError when it is another user's."""
    with suppress(psutil.NoSuchProcess):
        try:
            process.send_signal(number)
        except psutil.AccessDenied:
            raise LakeError(
                f"Process {process.pid} belongs to another user and cannot be stopped by you.",
                "Stop the lake as the user who started it.",
            ) from None


def cpu_seconds(pid: int) -> float:
    """Processor time that the process and its children have used."""
    try:
        process = psutil.Process(pid)
        times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return float(sum(each.user + each.system for each in times))


def memory_mb(pid: int, alone: bool = False) -> int:
    """The PSS of the process and its children (not if `alone`) in MB: shared pages are counted once."""
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
