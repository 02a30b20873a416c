"""The SQLite file of requests: where it is, how it is opened, its tables. One process has it at a time."""

import sqlite3
from pathlib import Path
from typing import TextIO

from lakehouse.core import locks
from lakehouse.errors import NewerFormatError, RefusedError, UnavailableError
from lakehouse.settings import settings

FORMAT = 1  # as the last line of _TABLES notes it
_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY,
    value BLOB,
    asked_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_by_time ON requests (asked_at);
CREATE TABLE IF NOT EXISTS answers (
    id TEXT PRIMARY KEY,
    value BLOB,
    answered_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offsets (
    topic_id TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (topic_id, partition)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def path(domain: str, name: str) -> Path:
    """Where the requests of that name are."""
    return settings().var / "asking" / domain / f"{name}.sqlite"


def opened(file: Path) -> tuple[TextIO, sqlite3.Connection]:
    """The file, which is made if need be, behind its lock; both are to be closed.

    Raises RefusedError when another process has it or a newer version wrote it, UnavailableError when it cannot be
    written or is damaged.
    """
    lock = _lock(file)
    try:
        return lock, _connect(file)
    except BaseException as error:
        lock.close()
        if isinstance(error, sqlite3.Error):
            raise _cannot_open(file, str(error)) from None
        raise


def _lock(file: Path) -> TextIO:
    """The lock of the file, until it is closed."""
    try:
        lock = locks.try_lock(file.with_suffix(".lock"))
    except OSError as error:  # as on a read-only file system
        raise _cannot_open(file, error.strerror or str(error)) from None
    if lock is None:
        what = f"The requests in {file} are written by another process."
        raise RefusedError(what, "Ask there, or stop that process first.")
    return lock


def _connect(file: Path) -> sqlite3.Connection:
    """The open file, with its tables."""
    sql = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        sql.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        found = sql.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT:
            raise NewerFormatError(f"The file {file}", found, FORMAT)
        sql.executescript(_TABLES)
    except BaseException:
        sql.close()
        raise
    return sql


def _cannot_open(file: Path, why: str) -> UnavailableError:
    what = f"The requests in {file} cannot be opened: {why.rstrip('.')}."
    fix = "Make its folder writable, or free some space. A damaged file can be moved away, with the requests in it."
    return UnavailableError(what, fix)
