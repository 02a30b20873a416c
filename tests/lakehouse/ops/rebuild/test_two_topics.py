"""A rebuild of a query that reads two topics: each topic goes on from its own records."""

from dataclasses import replace

import pytest

from lakehouse.contract.domain import QueryTables
from lakehouse.contract.topics import Topic
from lakehouse.errors import RefusedError
from lakehouse.kafka.topics import TopicState
from lakehouse.ops import rebuild
from lakehouse.streaming import accepted_losses, checkpoints, sidecar
from lakehouse.streaming.sidecar import Sidecar
from tests.lakehouse.ops.rebuild.line import EVENTS_ALONE, LINE, begun, hold
from tests.lakehouse.streaming.test_start_checks import BAD, EVENTS, TOPIC, on_line

pytestmark = pytest.mark.usefixtures("lake")
OTHER = Topic("other", 2, "more events")


def in_place(topic: str, first: int, second: int) -> TopicState:
    """A topic that begins there, with fifty records in each partition at most."""
    places = [(topic, 0), (topic, 1)]
    return TopicState(
        {topic: f"id of {topic}"}, dict(zip(places, (first, second), strict=True)), dict.fromkeys(places, 50)
    )


@pytest.fixture
def both(broker: dict[str, TopicState], monkeypatch: pytest.MonkeyPatch) -> dict[str, TopicState]:
    """The query of records reads a second topic, which begins elsewhere."""
    stores = {"events": QueryTables((TOPIC, OTHER), record_tables=(EVENTS, BAD))}
    monkeypatch.setattr(rebuild, "load", lambda name: replace(LINE, query_tables=stores, processes=(EVENTS_ALONE,)))
    broker |= {"line": in_place("line", 0, 0), "other": in_place("other", 7, 0)}
    return broker


def test_two_topics_go_on_each_from_its_own_records(both: dict[str, TopicState]) -> None:
    hold(EVENTS, p0=[0, 1, 2], p1=[0])
    hold(EVENTS, topic="other", p0=[7, 8, 10], p1=[])
    rebuild.rebuild("line.events", False)
    assert begun().starts == {("line", 0): 3, ("line", 1): 1, ("other", 0): 9, ("other", 1): 0}
    assert begun().stored_until == {("other", 0): 11}
    assert begun().topic_ids == {"line": "id of line", "other": "id of other"}


def test_a_topic_added_is_read_from_its_first_record(both: dict[str, TopicState]) -> None:
    hold(EVENTS, p0=[0, 1, 2], p1=[0])
    known = Sidecar({}, {"line": "id of line"}, "gen-1", on_line(0, 0))
    sidecar.write(checkpoints.path("line", "events"), known)
    rebuild.rebuild("line.events", False)
    assert begun().starts == {("line", 0): 3, ("line", 1): 1, ("other", 0): 7, ("other", 1): 0}


def test_of_two_topics_only_the_one_made_again_is_kept_apart(
    both: dict[str, TopicState], ran: list[tuple[str, ...]]
) -> None:
    hold(EVENTS, p0=[0, 1, 2], p1=[0])
    hold(EVENTS, topic="other", p0=[7, 8], p1=[])
    before = Sidecar({}, {"line": "id of line", "other": "id-0"}, "gen-1", {("other", 0): 3, **on_line(0, 0)})
    sidecar.write(checkpoints.path("line", "events"), before)
    with pytest.raises(RefusedError, match=r"The topic other was made again"):
        rebuild.rebuild("line.events", False)
    rebuild.rebuild("line.events", True)
    assert [command[command.index("--topic") + 1] for command in ran] == ["other"]
    assert begun().starts == {("line", 0): 3, ("line", 1): 1, ("other", 0): 7, ("other", 1): 0}
    assert accepted_losses.accepted("line") == {}  # 3 to 6 were of the old one


def test_a_topic_that_is_no_longer_read_keeps_its_rows_and_is_known_when_it_comes_back(
    both: dict[str, TopicState], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(EVENTS, p0=[0, 1, 2], p1=[0])
    hold(EVENTS, topic="other", p0=[7, 8], p1=[0])
    before = Sidecar({}, {"line": "id of line", "other": "id of other"}, "gen-1", {("other", 0): 7, **on_line(0, 0)})
    sidecar.write(checkpoints.path("line", "events"), before)
    one, two = LINE, rebuild.load("line")
    monkeypatch.setattr(rebuild, "load", lambda name: one)
    with pytest.raises(RefusedError, match=r"no longer reads the topic other: .*stays unread.*--accept-loss"):
        rebuild.rebuild("line.events", False)
    rebuild.rebuild("line.events", True)
    assert (begun().starts, begun().former_topic_ids) == (on_line(3, 1), {"other": "id of other"})
    assert accepted_losses.retired_topics("line") == {"other"}
    monkeypatch.setattr(rebuild, "load", lambda name: two)
    rebuild.rebuild("line.events", False)
    assert begun().starts == {("line", 0): 3, ("line", 1): 1, ("other", 0): 9, ("other", 1): 1}
    monkeypatch.setattr(rebuild, "load", lambda name: one)
    rebuild.rebuild("line.events", True)
    monkeypatch.setattr(rebuild, "load", lambda name: two)
    both["other"] = replace(both["other"], ids={"other": "another"})
    with pytest.raises(RefusedError, match=r"The topic other was made again"):
        rebuild.rebuild("line.events", False)
