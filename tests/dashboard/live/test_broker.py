"""What the broker says of a topic, also when it does not answer."""

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard.live import broker
from dashboard.live.broker import TopicView, TopicWatch
from lakehouse.kafka import topics
from lakehouse.kafka.topics import TopicState
from lakehouse.settings import Settings

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOPIC = TopicView("houses", events=150, rate=1.0, ends=((("houses", 0), 100), (("houses", 1), 50)))


def test_a_topic_tells_its_events_and_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    moments, ends = iter([0.0, 0.0, 2.0, 2.0]), iter([{("houses", 0): 100, ("houses", 1): 10}, {0: 130, 1: 20}])
    monkeypatch.setattr(Settings, "brokers", lambda _: "here")
    monkeypatch.setattr(
        topics, "state", lambda _, name: TopicState({name: "id"}, {(name, 0): 0, (name, 1): 0}, next(ends))
    )
    monkeypatch.setattr(topics, "end_offsets", lambda *_: next(ends))
    watch = TopicWatch("houses", clock=lambda: next(moments))
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
        monkeypatch.setattr(topics, "state", lambda _, name: TopicState({name: "id"}, {(name, 0): 0}, {(name, 0): 5}))
        monkeypatch.setattr(topics, "end_offsets", too_slow)
        watch = TopicWatch("houses")
        watch.ask()
        if not listens:
            server.close()
        watch.ask()
    assert (watch.view().events, watch.view().error) == (5, "" if listens else broker.NO_BROKER)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the SystemExit below
def test_a_broker_whose_address_goes_away_between_two_looks_ends_no_watch(lake: Path) -> None:
    watch = TopicWatch("houses", seconds=0.01)
    asked: list[int] = []

    def ends(_: str) -> None:
        asked.append(0)
        if len(asked) > 3:
            raise SystemExit  # the end of the thread, which would read the settings of the tests that follow
        raise TimeoutError  # and then there is no embedded broker whose address could be asked

    watch._ends = ends  # for good: put back, the thread would go on into the tests that follow
    before = set(threading.enumerate())
    watch.start()
    (thread,) = set(threading.enumerate()) - before
    thread.join(30)
    assert not thread.is_alive()
    assert len(asked) == 4
    assert watch.view().error == broker.NO_BROKER


def test_an_answer_too_old_to_be_believed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(Settings, "brokers", lambda _: "here")
    monkeypatch.setattr(topics, "state", lambda _, name: TopicState({name: "id"}, {(name, 0): 0}, {(name, 0): 5}))
    watch = TopicWatch("houses", clock=lambda: clock[0])
    watch.ask()
    assert watch.view().error == ""
    clock[0] = 60.0
    assert (watch.view().events, watch.view().error) == (5, broker.NO_BROKER)
