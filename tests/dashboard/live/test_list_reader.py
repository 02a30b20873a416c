"""The thread behind a list: it reads while a page asks, says what is wrong, and goes on."""

from collections.abc import Iterator

import pytest

from dashboard.live import list_reader
from dashboard.live.broker import TopicView
from dashboard.live.list_reader import NOT_READ, ListReader
from dashboard.pages.houses.source import SOURCE
from tests.waiting import wait_for

NO_TOPIC = "The broker has no topic houses yet."


class Asked:
    """A topic that is not there; counts how often it was asked for."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> TopicView:
        self.times += 1
        return TopicView("houses", error=NO_TOPIC)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def reader(asked: Asked) -> Iterator[ListReader]:
    """A reader of house sales, started, and stopped at the end."""
    assert SOURCE.events is not None
    found = ListReader(SOURCE.events, asked)
    found.start()
    yield found
    found.stop()
    assert not found._thread.is_alive()


def test_nothing_is_read_until_a_page_asks(reader: ListReader, asked: Asked) -> None:
    reader._ends.wait(0.1)
    assert (asked.times, reader.error) == (0, NOT_READ)
    reader.version()
    wait_for(lambda: asked.times > 0)


def test_what_is_wrong_is_a_sentence_and_the_version_says_it_is_the_history(reader: ListReader) -> None:
    assert reader.version().endswith("-history")
    wait_for(lambda: reader.error == NO_TOPIC)


def test_nothing_is_read_any_more_once_no_page_asks(
    reader: ListReader, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_reader, "AGAIN_SECONDS", 0.01)
    reader.version()
    wait_for(lambda: asked.times > 1)
    monkeypatch.setattr(list_reader, "WANTED_SECONDS", 0.0)
    wait_for(lambda: reader.error == NOT_READ)
    before = asked.times
    reader._ends.wait(0.1)
    assert asked.times == before
