"""Asking with a real broker: what is acknowledged is on the topic once; answers come from it; a broker that is away."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse.asking.asker import Asker, Question
from lakehouse.asking.read_until import ReadUntil
from lakehouse.asking.requests import RejectedError, Request, new_id
from lakehouse.asking.sender import ACKNOWLEDGED_WITHIN
from lakehouse.contract.topics import Topic
from lakehouse.core.net import free_port
from lakehouse.errors import DataError, UnavailableError, UsageError
from lakehouse.kafka import client, topics
from tests.e2e.running import read_topic, wait_for


def encode(request: Mapping[str, Any]) -> bytes:
    if "text" not in request:
        raise DataError("text: missing.")
    return json.dumps(request).encode()


def question(**changed: Any) -> Question:
    mark = new_id()[:8]
    asked = Topic(f"asked-{mark}", 2, "requests", encoded_by_us=True)
    answered = Topic(f"answered-{mark}", 2, "answers")
    return Question(
        **{"domain": "echo", "name": mark, "requests": asked, "answers": answered, "encode": encode} | changed
    )


@contextmanager
def asking(about: Question, bootstrap_servers: str, within: float = 60) -> Iterator[Asker]:
    """An asker that waits longer than users do: the machine may have other work."""
    asker = Asker(about, lambda: bootstrap_servers, within)
    try:
        yield asker
    finally:
        asker.close()


def answer(about: Question, bootstrap_servers: str, request_id: str, value: bytes) -> None:
    producer = client.producer(bootstrap_servers, {})
    producer.produce(about.answers.name, value, request_id.encode())
    assert producer.flush(30) == 0


def found(asker: Asker, request_id: str, state: str) -> Callable[[], Request | None]:
    def look() -> Request | None:
        request = asker.find(request_id)
        return request if request and request.state == state else None

    return look


@pytest.mark.e2e
def test_ask_and_answer(lake: Path, broker: str) -> None:
    about = question()
    topics.ensure(broker, [about.requests, about.answers])
    with asking(about, broker) as asker:
        request_id = asker.ask({"text": "hello"})
        assert asker.ask({"text": "hello"}, request_id) == request_id
        assert asker.find(request_id).state == "queued"  # type: ignore[union-attr]
        for value in (b"first", b"second"):
            answer(about, broker, request_id, value)
        assert wait_for(found(asker, request_id, "answered"), 30, "the answer").answer == b"first"
        threads = [threading.Thread(target=asker.ask, args=({"text": "all"}, one)) for one in [new_id()] * 5]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pytest.raises(RejectedError) as rejected:
            asker.ask({})
        assert asker.find(rejected.value.request_id).reason == "text: missing."  # type: ignore[union-attr]
    sent = [message.value() for message in read_topic(broker, about.requests.name, 2)]
    assert sorted(sent) == [b'{"text": "all"}', b'{"text": "hello"}']


@pytest.mark.e2e
def test_answers_that_came_meanwhile_are_read_after_a_restart(lake: Path, broker: str) -> None:
    about = question(expires_after=timedelta(hours=1))
    topics.ensure(broker, [about.requests, about.answers])
    with asking(about, broker) as asker:
        ids = [asker.ask({"text": str(number)}) for number in range(3)]
        answer(about, broker, ids[0], b"0")
        wait_for(found(asker, ids[0], "answered"), 30, "the answer")
    for request_id in ids[:2]:
        answer(about, broker, request_id, b"1")
    with asking(about, broker) as asker:
        assert wait_for(found(asker, ids[1], "answered"), 30, "the answer").answer == b"1"
        assert asker.find(ids[0]).answer == b"0"  # type: ignore[union-attr]
        assert asker.counts() == {"queued": 1, "answered": 2, "rejected": 0, "expired": 0}


@pytest.mark.e2e
def test_a_request_expires_once_the_answers_until_its_deadline_are_read(lake: Path, broker: str) -> None:
    about = question(expires_after=timedelta(seconds=1))
    topics.ensure(broker, [about.requests, about.answers])
    with asking(about, broker) as asker:
        request_id = asker.ask({"text": "nobody answers"})
        expired = wait_for(found(asker, request_id, "expired"), 30, "the deadline")
        assert asker._reader.read_until > expired.deadline  # type: ignore[operator]


def test_the_time_stands_still_while_the_broker_is_away(lake: Path) -> None:
    until = ReadUntil(f"127.0.0.1:{free_port()}", "answers", {0: 0})
    assert until.moment() is None


@pytest.mark.e2e
def test_up_to_when_a_topic_is_read(lake: Path, broker: str) -> None:
    about = question()
    topics.ensure(broker, [about.answers])
    began = datetime.now(UTC)
    for _ in range(3):
        answer(about, broker, new_id(), b"!")
    ends = topics.end_offsets(broker, about.answers.name, [0, 1])
    until = ReadUntil(broker, about.answers.name, {0: 0, 1: 0})
    assert until.moment() is None
    assert until.moment() is None  # it asks once a second, and nothing is noted
    for partition, end in ends.items():
        until.note(partition, end)
    first = until.moment()
    assert first is not None and began <= first <= datetime.now(UTC)
    second = wait_for(until.moment, 30, "a later time")
    assert second > first


def test_without_a_broker_nothing_is_promised(lake: Path) -> None:
    request_id = new_id()
    with asking(question(), f"127.0.0.1:{free_port()}", ACKNOWLEDGED_WITHIN) as asker:
        with pytest.raises(UnavailableError, match="within 2 s"):
            asker.ask({"text": "hello"}, request_id)
        assert asker.find(request_id) is None
        assert sum(asker.counts().values()) == 0


def test_threads_end_with_the_asker(lake: Path) -> None:
    before = threading.active_count()
    with asking(question(), f"127.0.0.1:{free_port()}"):
        assert threading.active_count() == before + 2
    assert threading.active_count() == before


def test_a_topic_that_others_write_to_is_refused(lake: Path) -> None:
    with pytest.raises(UsageError, match="which others may write to"):
        Asker(question(requests=Topic("open", 1, "")))


@pytest.mark.e2e
def test_a_request_that_the_broker_refuses_is_not_promised(lake: Path, broker: str) -> None:
    small = Topic(f"small-{new_id()[:8]}", 1, "", (("max.message.bytes", "200"),), encoded_by_us=True)
    about, request_id = question(requests=small), new_id()
    topics.ensure(broker, [about.requests, about.answers])
    with asking(about, broker) as asker:
        with pytest.raises(UnavailableError, match="Message size too large"):
            asker.ask({"text": "x" * 1000}, request_id)
        assert asker.find(request_id) is None
        asker.ask({"text": "x"})
