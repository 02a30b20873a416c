"""Requests and answers in the file: the first answer stands, an acknowledged request is there after any end."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.asking.requests import ConflictError, RequestState, checked_id, new_id
from lakehouse.asking.store import Answer, RequestStore
from lakehouse.errors import DataError, RefusedError, UnavailableError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    opened = RequestStore(tmp_path / "asked.sqlite")
    yield opened
    opened.close()


def asked(store: RequestStore, value: bytes = b"?") -> str:
    request_id = new_id()
    assert store.begin(request_id, value, NOON, NOON + MINUTE)
    store.acknowledge(request_id)
    return request_id


def answer(request_id: str, value: bytes, at: datetime) -> Answer:
    return Answer(request_id, value, int(at.timestamp() * 1000))


def state(store: RequestStore, request_id: str, read_until: datetime | None) -> str:
    found = store.find(request_id, read_until)
    return found.state if found else "unknown"


def test_first_answer_stands(store: RequestStore) -> None:
    request_id = asked(store)
    store.record([answer(request_id, b"first", NOON), answer(request_id, b"second", NOON)], "t", {0: 2})
    store.record([answer(request_id, b"third", NOON)], "t", {0: 3})
    found = store.find(request_id, NOON)
    assert found is not None
    assert (found.state, found.answer, found.answered_at) == (RequestState.ANSWERED, b"first", NOON)
    assert store.counts(NOON) == {"queued": 0, "answered": 1, "rejected": 0, "expired": 0}


def test_request_is_shown_once_the_broker_has_it(store: RequestStore) -> None:
    request_id = new_id()
    assert store.begin(request_id, b"?", NOON, NOON + MINUTE)
    assert store.find(request_id, NOON) is None
    assert store.begin(request_id, b"?", NOON + MINUTE, NOON + 2 * MINUTE)  # asked again after a 503
    store.acknowledge(request_id)
    assert not store.begin(request_id, b"?", NOON, NOON)
    found = store.find(request_id, NOON)
    assert found is not None
    assert (found.state, found.deadline) == (RequestState.QUEUED, NOON + 2 * MINUTE)


def test_answer_to_a_request_whose_acknowledgement_was_lost(store: RequestStore) -> None:
    request_id = new_id()
    store.begin(request_id, b"?", NOON, NOON + MINUTE)
    store.record([answer(request_id, b"!", NOON)], "t", {0: 1})
    assert state(store, request_id, NOON) == "answered"


def test_an_id_with_another_content_is_refused(store: RequestStore) -> None:
    request_id = asked(store, b"one")
    with pytest.raises(ConflictError, match="the first one stands"):
        store.begin(request_id, b"two", NOON, NOON)
    found = store.find(request_id, NOON)
    assert found is not None and found.value == b"one"


def test_expired_is_final(store: RequestStore) -> None:
    request_id = asked(store)
    assert state(store, request_id, NOON + MINUTE) == "queued"
    assert state(store, request_id, None) == "queued"
    assert state(store, request_id, NOON + 2 * MINUTE) == "expired"
    store.record([answer(request_id, b"stamped before the deadline, sent after it", NOON)], "t", {0: 1})
    assert state(store, request_id, NOON + 3 * MINUTE) == "expired"
    assert state(store, request_id, None) == "expired"  # after a restart of the reader
    assert store.counts(NOON + 3 * MINUTE)["expired"] == 1


def test_answer_in_time_that_is_read_late_counts(store: RequestStore) -> None:
    request_id = asked(store)
    store.record([answer(request_id, b"!", NOON + MINUTE)], "t", {0: 1})
    assert state(store, request_id, NOON + timedelta(days=1)) == "answered"


def test_rejected_stands(store: RequestStore) -> None:
    request_id = new_id()
    store.reject(request_id, "price: missing", NOON)
    store.reject(request_id, "another reason", NOON)
    found = store.find(request_id, NOON)
    assert found is not None
    assert (found.state, found.reason) == (RequestState.REJECTED, "price: missing")
    with pytest.raises(ConflictError):
        store.begin(request_id, b"?", NOON, NOON)


def test_a_request_is_not_rejected_under_the_id_of_another(store: RequestStore) -> None:
    request_id = asked(store)
    with pytest.raises(ConflictError, match="the first one stands"):
        store.reject(request_id, "price: missing", NOON)
    assert state(store, request_id, NOON) == "queued"


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "asked.sqlite"
    before = RequestStore(file)
    waits, done = asked(before), asked(before)
    before.record([answer(done, b"!", NOON)], "t", {0: 7, 1: 3})
    before._process_lock.close()  # the process is killed: nothing is closed properly
    after = RequestStore(file)
    assert [state(after, each, NOON) for each in (waits, done)] == ["queued", "answered"]
    assert after.offsets("t") == {0: 7, 1: 3}
    assert after.offsets("a topic made again") == {}
    after.close()
    before._sql.close()


def test_answers_and_offsets_are_stored_together(store: RequestStore) -> None:
    request_id = asked(store)
    with pytest.raises(UnavailableError, match="cannot be stored"):
        store.record([answer(request_id, b"!", NOON)], "t", {0: object()})  # type: ignore[dict-item]
    assert store.offsets("t") == {}
    assert state(store, request_id, NOON) == "queued"


def test_one_process_writes_it(store: RequestStore, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="written by another process"):
        RequestStore(tmp_path / "asked.sqlite")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "asked.sqlite") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(RefusedError, match="format 99"):
        RequestStore(tmp_path / "asked.sqlite")


def test_a_damaged_file_is_said_and_holds_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "asked.sqlite"
    file.write_bytes(b"no database, but longer than the head of one " * 100)
    for _ in range(2):  # the second time no lock is in the way
        with pytest.raises(UnavailableError, match=r"cannot be opened: file is not a database\. .* moved away"):
            RequestStore(file)
    file.unlink()
    RequestStore(file).close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "asking").write_text("a file in the place of the folder")
    with pytest.raises(UnavailableError, match=r"cannot be opened: Not a directory\. Make its folder writable"):
        RequestStore(tmp_path / "asking/echo/asked.sqlite")


def test_old_requests_are_forgotten(store: RequestStore) -> None:
    old, new = asked(store), asked(store)
    store._sql.execute("UPDATE requests SET asked_at = 0 WHERE id = ?", (old,))
    assert store.forget(NOON) == 1
    assert (state(store, old, NOON), state(store, new, NOON)) == ("unknown", "queued")


@pytest.mark.parametrize("text", ["", "x", None, 7, new_id().upper(), "{" + new_id() + "}", new_id().replace("-", "")])
def test_an_id_has_one_form(text: object) -> None:
    with pytest.raises(DataError, match="UUID in lower case"):
        checked_id(text)


def test_a_full_disk_promises_nothing(store: RequestStore) -> None:
    request_id = new_id()
    pages = store._sql.execute("PRAGMA page_count").fetchone()[0]
    store._sql.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UnavailableError, match="cannot be stored: database or disk is full"):
        store.begin(request_id, b"x" * 100_000, NOON, NOON + MINUTE)
    store._sql.execute("PRAGMA max_page_count = 100000")
    assert store.begin(request_id, b"x" * 100_000, NOON, NOON + MINUTE)


def test_a_file_that_cannot_be_read_is_said(store: RequestStore) -> None:
    store._sql.execute("DROP TABLE answers")
    with pytest.raises(UnavailableError, match="cannot be read: no such table"):
        store.find(new_id(), NOON)
