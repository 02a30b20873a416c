"""A process that was noted down, found again: its pid alone may by now be another program's."""

from contextlib import suppress

import psutil

from lakehouse.errors import LakeError


def create_time(pid: int) -> float | None:
    """When the process was started; with its pid it names that process and no other. None when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def find(pid: object, created: object) -> psutil.Process | None:
    """The process that had this pid and start time, if it still runs; None for any other that has its pid now."""
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
