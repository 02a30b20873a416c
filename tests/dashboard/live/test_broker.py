"""What the broker and the queries say of themselves, also when they say nothing."""

import json
import os
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from dashboard.live import broker
from dashboard.live.broker import ProcessView, TopicView, TopicWatch, process_views, query_view
from lakehouse.core import run_state
from lakehouse.kafka import topics
from lakehouse.kafka.topics import TopicState
from lakehouse.settings import Settings
from lakehouse.streaming import checkpoints

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOPIC = TopicView("houses", events=150, rate=1.0, ends=((("houses", 0), 100), (("houses", 1), 50)))


def checkpoint(batch: int, ends: dict[str, int]) -> None:
    folder = checkpoints.path("houses", "averages")
    for name in ("offsets", "commits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = ["v1", json.dumps({"batchWatermarkMs": 0}), json.dumps({"houses": ends})]
    (folder / "offsets" / str(batch)).write_text("\n".join(lines))
    (folder / "commits" / str(batch)).write_text("v1\n{}")


def progress(**values: Any) -> None:
    run_state.write_json(run_state.progress_file("houses", "averages"), {"written_at": NOW.isoformat()} | values)


@pytest.mark.usefixtures("lake")
def test_a_query_without_checkpoint_has_not_started() -> None:
    assert query_view("houses", "averages", TOPIC, NOW) == broker.QueryView("averages")


@pytest.mark.usefixtures("lake")
def test_a_running_query_tells_lag_batch_and_rate() -> None:
    checkpoint(8, {"0": 90, "1": 50})
    checkpoint(9, {"0": 97, "1": 50})
    progress(timestamp="2026-05-01T11:59:59.000Z", processedRowsPerSecond=40.5, durationMs={"triggerExecution": 450})
    view = query_view("houses", "averages", TOPIC, NOW)
    assert (view.state, view.lag, view.batch_id, view.rows_per_second) == ("running", 3, 9, 40.5)
    assert (view.batch_seconds, view.progressed_at) == (0.45, NOW - timedelta(seconds=1))


@pytest.mark.usefixtures("lake")
def test_a_query_that_has_fallen_silent_is_stopped_and_has_no_rate() -> None:
    checkpoint(1, {"0": 1})
    progress(processedRowsPerSecond=40.5)
    view = query_view("houses", "averages", TOPIC, NOW + timedelta(minutes=1))
    assert (view.state, view.rows_per_second) == ("stopped", None)


@pytest.mark.usefixtures("lake")
def test_lag_is_unknown_while_the_broker_is_silent() -> None:
    checkpoint(1, {"0": 1})
    assert query_view("houses", "averages", TopicView("houses", error="gone"), NOW).lag is None


@pytest.mark.usefixtures("lake")
def test_numbers_that_are_none_are_left_out() -> None:
    checkpoint(1, {"0": 1})
    progress(processedRowsPerSecond=float("nan"), durationMs=None)
    view = query_view("houses", "averages", TOPIC, NOW)
    assert (view.rows_per_second, view.batch_seconds) == (None, None)


def test_a_damaged_checkpoint_is_an_error_of_its_query(lake: Path) -> None:
    checkpoint(1, {"0": 1})
    (lake / "checkpoints/houses/averages/offsets/1").write_text("v1")
    assert "cannot be read" in query_view("houses", "averages", TOPIC, NOW).error


def test_a_topic_tells_its_events_and_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    moments, ends = iter([0.0, 0.0, 2.0, 2.0]), iter([{0: 100, 1: 10}, {0: 130, 1: 20}])
    monkeypatch.setattr(Settings, "brokers", lambda _: "here")
    monkeypatch.setattr(topics, "state", lambda _, name: TopicState(name, "id", {0: 0, 1: 0}, next(ends)))
    monkeypatch.setattr(topics, "end_offsets", lambda *_: next(ends))
    monkeypatch.setattr(broker.time, "monotonic", lambda: next(moments))
    watch = TopicWatch("houses")
    watch.ask()
    watch.ask()
    view = watch.view()
    assert (view.events, view.rate, view.ends) == (150, 20.0, ((("houses", 0), 130), (("houses", 1), 20)))


@pytest.mark.usefixtures("lake")
def test_a_broker_that_does_not_run_is_a_sentence_with_the_fix() -> None:
    watch = TopicWatch("houses")
    watch.ask()
    assert "`lake up`" in watch.view().error


def test_a_topic_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "brokers", lambda _: "here")
    monkeypatch.setattr(topics, "state", lambda *_: None)
    watch = TopicWatch("houses")
    watch.ask()
    assert watch.view().error == "The broker has no topic houses yet."


@pytest.mark.parametrize("listens", [True, False])
def test_a_slow_broker_is_waited_for_and_a_gone_one_is_not(monkeypatch: pytest.MonkeyPatch, listens: bool) -> None:
    def too_slow(*_: Any) -> Any:
        raise TimeoutError

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(Settings, "brokers", lambda _: address)
        monkeypatch.setattr(topics, "state", lambda _, name: TopicState(name, "id", {0: 0}, {0: 5}))
        monkeypatch.setattr(topics, "end_offsets", too_slow)
        watch = TopicWatch("houses")
        watch.ask()
        if not listens:
            server.close()
        watch.ask()
    assert (watch.view().events, watch.view().error) == (5, "" if listens else broker.NO_BROKER)


def test_a_broker_whose_address_goes_away_between_two_looks_ends_no_watch(
    monkeypatch: pytest.MonkeyPatch, lake: Path
) -> None:
    watch = TopicWatch("houses", seconds=0.01)
    asked: list[int] = []

    def ends(_: str) -> None:
        asked.append(0)
        raise TimeoutError  # and then there is no embedded broker whose address could be asked

    monkeypatch.setattr(watch, "_ends", ends)
    watch.start()
    until = time.monotonic() + 10
    while len(asked) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(asked) >= 3
    assert watch.view().error == broker.NO_BROKER


def test_an_answer_too_old_to_be_believed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(broker.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Settings, "brokers", lambda _: "here")
    monkeypatch.setattr(topics, "state", lambda _, name: TopicState(name, "id", {0: 0}, {0: 5}))
    watch = TopicWatch("houses")
    watch.ask()
    assert watch.view().error == ""
    clock[0] = 60.0
    assert (watch.view().events, watch.view().error) == (5, broker.NO_BROKER)


@pytest.mark.usefixtures("lake")
def test_processes_keep_their_order_and_a_vanished_one_is_stopped() -> None:
    assert process_views() == ()
    own = {"name": "kafka", "pid": os.getpid(), "create_time": psutil.Process().create_time(), "state": "running"}
    gone = {"name": "stream", "pid": 2**22 + 1, "create_time": 1.0, "state": "running", "restarts": 2}
    done = {"name": "load", "pid": None, "create_time": None, "state": "finished"}
    run_state.write_json(run_state.processes_file(), {"processes": [own, gone, done]})
    assert process_views() == (
        ProcessView("kafka", "running"),
        ProcessView("stream", "stopped", restarts=2),
        ProcessView("load", "finished"),
    )
