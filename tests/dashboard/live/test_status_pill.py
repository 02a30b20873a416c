"""The status pill's decision: never LIVE while something is not read, not written or not looked at."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard import app
from dashboard.live import snapshot, status_pill
from dashboard.live.broker import TopicView
from dashboard.live.domain_view import DomainView
from dashboard.live.queries import QueryView
from dashboard.live.snapshot import Live, Snapshot
from dashboard.live.status_pill import Pulse, QueryPulse, decide
from dashboard.pages.houses import source
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process
from lakehouse.contract.topics import Topic
from lakehouse.core import run_state
from lakehouse.core.states import QueryState
from lakehouse.streaming import checkpoints, query_state

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DEAD_PID = 2**22 + 1  # above the highest that Linux gives


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def query(**changed: Any) -> QueryPulse:
    usual = {"name": "houses/averages", "state": QueryState.RUNNING, "lag": 0, "rate": 20.0, "complete_at": ago(1)}
    return QueryPulse(**usual | changed)


def pulse(*queries: QueryPulse, taken: float = 1, filled: bool = True) -> Pulse:
    return decide(queries, ago(taken), filled, NOW)


def test_all_read_and_just_looked_at_is_live() -> None:
    assert pulse(query(), query(name="houses/history", lag=150)).word == "LIVE"


def test_a_snapshot_that_is_not_renewed_is_stale_since_it_was_taken() -> None:
    assert pulse(query(), taken=6)[:3] == ("stale", "STALE", ago(6))


def test_a_stopped_query_is_stale_although_nothing_waits() -> None:
    shown = pulse(query(), query(name="houses/history", state=QueryState.STOPPED, complete_at=ago(40)))
    assert (shown.word, shown.since) == ("STALE", ago(40))
    assert "houses/history has stopped" in shown.why


def test_the_oldest_of_the_stale_parts_is_named() -> None:
    first, second = (
        query(state=QueryState.STOPPED, complete_at=ago(9)),
        query(trouble="No broker.", complete_at=ago(99)),
    )
    assert pulse(first, second)[1:] == ("STALE", ago(99), "No broker.")


def test_old_data_is_stale_only_while_events_wait() -> None:
    assert pulse(query(complete_at=ago(31), lag=0)).word == "LIVE"
    assert pulse(query(complete_at=ago(31), lag=1)).word == "STALE"
    assert pulse(query(complete_at=ago(29), lag=1)).word == "LIVE"


@pytest.mark.parametrize(
    ("lag", "rate", "word"),
    [(600, 20.0, "LIVE"), (601, 20.0, "CATCHING UP"), (300, 0.1, "LIVE"), (301, None, "CATCHING UP")],
)
def test_a_lag_of_more_than_thirty_seconds_of_input_is_catching_up(lag: int, rate: float | None, word: str) -> None:
    assert pulse(query(lag=lag, rate=rate)).word == word


def test_a_growing_lag_is_catching_up_before_it_is_large() -> None:
    assert pulse(query(lag=90, growing=True)).word == "CATCHING UP"


def test_nothing_anywhere_is_no_data_and_a_query_that_never_ran_is_stale() -> None:
    assert pulse(query(state=QueryState.NOT_STARTED), filled=False).word == "NO DATA"
    assert pulse(query(state=QueryState.NOT_STARTED), filled=True).word == "STALE"
    assert pulse(query(state=QueryState.NOT_STARTED), query(), filled=False).word == "STALE"


def test_a_saw_tooth_does_not_grow_and_a_rising_floor_does() -> None:
    tooth = [(float(at), 20 * (at % 12)) for at in range(61)]
    rising = [(at, lag + 3 * int(at)) for at, lag in tooth]
    assert not status_pill.growing(tooth, 60.0)
    assert status_pill.growing(rising, 60.0)
    assert not status_pill.growing(rising[-30:], 60.0)  # not seen for long enough


def test_a_query_has_ended_when_its_process_is_gone_and_it_is_silent(tmp_path: Path) -> None:
    lock = tmp_path / "averages.lock"
    assert not query_state.has_ended(tmp_path / "averages", ago(9), NOW)  # no lock: nothing is known
    lock.write_text(str(DEAD_PID))
    assert query_state.has_ended(tmp_path / "averages", ago(9), NOW)
    assert not query_state.has_ended(tmp_path / "averages", ago(1), NOW)  # in another container, and alive
    lock.write_text(str(os.getpid()))
    assert not query_state.has_ended(tmp_path / "averages", ago(9), NOW)


def test_the_title_names_lags_snapshot_and_newest_event() -> None:
    queries = [query(lag=1200), query(name="houses/history", state=QueryState.STOPPED, lag=None)]
    lines = status_pill.title(pulse(*queries), queries, ago(1), ago(3)).splitlines()
    assert lines[1:3] == ["Lag of houses/averages: 1,200 events", "Lag of houses/history: unknown (stopped)"]
    assert lines[3:] == ["Last snapshot: 2026-05-01 11:59:59 UTC", "Last event: 2026-05-01 11:59:57 UTC"]


def answering(**query: Any) -> Snapshot:
    """A domain that writes no table: it answers."""
    asked = Topic("asked", 1, "", encoded_by_us=True)
    runs = (Process("texts", Job("stream.py"), queries=("texts",)),)
    bad = source.SOURCE.domain.dead_letters
    domain = Domain("echo", "Echo", (asked,), (bad,), {"texts": QueryTables((asked,))}, bad, processes=runs)
    shown = {"texts": QueryView("texts", QueryState.RUNNING, **query)}
    return Snapshot("1", NOW, {"echo": DomainView(domain, {"asked": TopicView("asked", 9, 0.1)}, shown, {})})


def test_a_request_after_a_long_silence_is_not_late_at_once() -> None:
    watch = status_pill.Watch()
    last_answer = ago(3600)
    assert watch.pulse(answering(lag=1, progressed_at=last_answer), NOW)[0].word == "STALE"
    assert watch.pulse(answering(lag=0, progressed_at=last_answer, reported_at=ago(1)), NOW)[0].word == "LIVE"
    assert watch.pulse(answering(lag=1, progressed_at=last_answer), NOW)[0].word == "LIVE"
    later = answering(lag=1, progressed_at=last_answer)
    waits = watch.pulse(replace(later, taken_at=NOW + timedelta(seconds=31)), NOW + timedelta(seconds=31))[0]
    assert (waits.word, waits.since) == ("STALE", ago(1))


@pytest.fixture
def client(lake: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr(snapshot, "_live", Live([source.SOURCE]))
    return app.create_app().server.test_client()


def beat_after_a_look(client: FlaskClient) -> Any:
    live = snapshot._live
    for watcher in live._watchers:
        for watch in watcher.topics.values():
            watch._view = TopicView(watch.name, 0, 0.0)
    live.refresh()
    return client.get("/beat").json


def test_the_beat_says_so_when_a_query_stops(client: FlaskClient) -> None:
    assert client.get("/beat").json["word"] == "CONNECTING"
    assert beat_after_a_look(client)["word"] == "NO DATA"
    for name in source.SOURCE.domain.queries:
        written = datetime.now(UTC) - timedelta(seconds=4)
        run_state.write_json(run_state.progress_file("houses", name), {"written_at": written.isoformat()})
    assert beat_after_a_look(client)["word"] == "LIVE"
    lock = checkpoints.path("houses", "averages").with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps(DEAD_PID))
    answer = beat_after_a_look(client)
    assert (answer["word"], answer["now"] - answer["since"]) == ("STALE", pytest.approx(4, abs=3))
    assert "houses/averages has stopped" in answer["title"]
