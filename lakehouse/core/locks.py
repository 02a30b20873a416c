"""Locks between processes by flock: one writer per table, one run per query. The kernel frees them when one dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lakehouse.errors import RefusedError


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file while the block runs. Raises RefusedError when another process holds it."""
    lock = try_lock(path)
    if lock is None:
        holder = path.read_text().strip() or "another process"
        raise RefusedError(f"{what} is already running (pid {holder}).", "Stop that one first.")
    with lock:
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold the lock file while the block runs; waits until no other process holds it."""
    with _open(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def try_lock(path: Path) -> TextIO | None:
    """The open lock file, locked until it is closed; None when another process has the lock."""
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _open(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a")
