"""Requests and their answers in an SQLite file under var/asking, written by one process.

A request is stored before it is sent, and is shown once the broker has acknowledged it: what a user was promised is in
the file, whenever the process dies. Answers are stored with the offsets that the reader has come to, in one
transaction, so each stands once however often it is read. The first answer of an id stands.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from lakehouse.asking import store_file
from lakehouse.asking.requests import ConflictError, Request, RequestState
from lakehouse.errors import UnavailableError

KEPT = timedelta(days=30)  # longer than topics keep records, so no answer comes after its request is forgotten


class Answer(NamedTuple):
    """An answer as it was read: the request's id, the bytes, when it came onto the topic (milliseconds since 1970)."""

    id: str
    value: bytes | None
    millis: int


class RequestStore:
    """The requests of one kind; usable from several threads. Close it when done."""

    def __init__(self, path: Path) -> None:
        """Open the file, which is made if need be.

        Raises RefusedError when another process has it or a newer version wrote it, UnavailableError when it cannot be
        written or is damaged.
        """
        self._path, self._lock = path, threading.Lock()
        self._process_lock, self._sql = store_file.opened(path)

    def close(self) -> None:
        """Close the file, and let another process have it."""
        with self._lock:
            self._sql.close()
            self._process_lock.close()

    def begin(self, request_id: str, value: bytes, asked_at: datetime, deadline: datetime) -> bool:
        """Store a request that is about to be sent; False when the same one was acknowledged before.

        A request that was never acknowledged gets the new times. Raises ConflictError when the id has another content.
        """
        with self._writing():
            known = self._one("SELECT value, acknowledged, reason FROM requests WHERE id = ?", request_id)
            if known is not None and (known[2] or known[0] != value):
                raise _another_content(request_id)
            if known is not None and known[1]:
                return False
            times = (_millis(asked_at), _millis(deadline))
            self._sql.execute(
                "INSERT INTO requests (id, value, asked_at, deadline) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET asked_at = excluded.asked_at, deadline = excluded.deadline",
                (request_id, value, *times),
            )
            return True

    def acknowledge(self, request_id: str) -> None:
        """The broker has the request: from now on it is shown."""
        with self._writing():
            self._sql.execute("UPDATE requests SET acknowledged = 1 WHERE id = ?", (request_id,))

    def reject(self, request_id: str, reason: str, asked_at: datetime) -> None:
        """Store why a request was not sent; the first reason of an id stands.

        Raises ConflictError when the id has a request that breaks no rule.
        """
        with self._writing():
            known = self._one("SELECT reason FROM requests WHERE id = ?", request_id)
            if known is not None and not known[0]:
                raise _another_content(request_id)
            self._sql.execute(
                "INSERT OR IGNORE INTO requests (id, asked_at, deadline, acknowledged, reason) VALUES (?, ?, ?, 1, ?)",
                (request_id, _millis(asked_at), _millis(asked_at), reason),
            )

    def find(self, request_id: str, read_until: datetime | None) -> Request | None:
        """The request; None when there is none, or none that the broker has acknowledged.

        `read_until` is a time whose answers are all stored. Without an answer a request whose deadline was before then
        is expired, for good: an answer that is stamped earlier and comes later does not change it.
        """
        row = self._row(request_id)
        if row is not None and _is_overdue(row, read_until):
            self._expire(request_id, row[2])
            row = self._row(request_id)
        return None if row is None else _request(request_id, row)

    def _row(self, request_id: str) -> tuple[Any, ...] | None:
        """The request with its first answer; None when it was neither acknowledged nor answered."""
        with self._reading():
            return self._one(
                "SELECT r.value, r.asked_at, r.deadline, r.reason, a.value, a.answered_at "
                "FROM requests r LEFT JOIN answers a USING (id) "
                "WHERE r.id = ? AND (r.acknowledged OR a.id IS NOT NULL)",
                request_id,
            )

    def _expire(self, request_id: str, deadline: int) -> None:
        """Store an empty answer that came too late; one that has come meanwhile stands."""
        with self._writing():
            too_late = (request_id, deadline + 1)
            self._sql.execute("INSERT OR IGNORE INTO answers (id, answered_at) VALUES (?, ?)", too_late)

    def record(self, answers: Iterable[Answer], topic_id: str, offsets: Mapping[int, int]) -> None:
        """Store answers, and the next offset of each partition, together; the first answer of an id stands."""
        with self._writing():
            self._sql.executemany("INSERT OR IGNORE INTO answers (id, value, answered_at) VALUES (?, ?, ?)", answers)
            self._sql.executemany(
                "INSERT OR REPLACE INTO offsets (topic_id, partition, next) VALUES (?, ?, ?)",
                [(topic_id, partition, following) for partition, following in offsets.items()],
            )

    def offsets(self, topic_id: str) -> dict[int, int]:
        """The next offset of each partition that was read of this topic; empty for a topic that was made again."""
        with self._reading():
            rows = self._sql.execute("SELECT partition, next FROM offsets WHERE topic_id = ?", (topic_id,)).fetchall()
        return dict(rows)

    def counts(self, read_until: datetime | None) -> dict[str, int]:
        """How many requests are in each state, of those that the broker has acknowledged or that were rejected.

        `read_until` as in `find`.
        """
        query = """
            SELECT CASE WHEN r.reason <> '' THEN 'rejected' WHEN a.answered_at <= r.deadline THEN 'answered'
                        WHEN a.answered_at IS NOT NULL OR r.deadline < ? THEN 'expired' ELSE 'queued' END, count(*)
            FROM requests r LEFT JOIN answers a USING (id) WHERE r.acknowledged OR a.id IS NOT NULL GROUP BY 1"""
        with self._reading():
            found = dict(self._sql.execute(query, (-1 if read_until is None else _millis(read_until),)).fetchall())
        return {str(state): found.get(state, 0) for state in RequestState}

    def forget(self, before: datetime) -> int:
        """Delete the requests asked before then, with their answers; how many."""
        oldest = _millis(before)
        with self._writing():
            self._sql.execute("DELETE FROM answers WHERE answered_at < ?", (oldest,))
            return self._sql.execute("DELETE FROM requests WHERE asked_at < ?", (oldest,)).rowcount

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with closing(self._sql.execute(query, values)) as found:
            row: tuple[Any, ...] | None = found.fetchone()
        return row

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """This thread alone. Raises UnavailableError when the file cannot be read."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise UnavailableError(f"The requests in {self._path} cannot be read: {error}.") from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction of this thread alone. Raises UnavailableError when the file cannot be written."""
        with self._lock:
            try:
                self._sql.execute("BEGIN IMMEDIATE")
                yield
                self._sql.execute("COMMIT")
            except BaseException as error:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):  # as on a full disk
                    what = f"The requests in {self._path} cannot be stored: {error}."
                    raise UnavailableError(what, "Free some space, then ask again with the same id.") from None
                raise


def _another_content(request_id: str) -> ConflictError:
    what = f"The request {request_id} was asked before with another content; the first one stands."
    return ConflictError(what, "Ask with another id.")


def _is_overdue(row: tuple[Any, ...], read_until: datetime | None) -> bool:
    """Whether the request waits, and can have no answer in time any more."""
    _value, _asked_at, deadline, reason, _answer, answered_at = row
    return not reason and answered_at is None and read_until is not None and _millis(read_until) > deadline


def _request(request_id: str, row: tuple[Any, ...]) -> Request:
    value, asked_at, deadline, reason, answer, answered_at = row
    state = _state(reason, deadline, answered_at)
    known = Request(request_id, state, _moment(asked_at), _moment(deadline), value, reason)
    if state is not RequestState.ANSWERED:
        return known
    return replace(known, answer=answer, answered_at=_moment(answered_at))


def _state(reason: str, deadline: int, answered_at: int | None) -> RequestState:
    if reason:
        return RequestState.REJECTED
    if answered_at is None:
        return RequestState.QUEUED
    return RequestState.ANSWERED if answered_at <= deadline else RequestState.EXPIRED


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)
