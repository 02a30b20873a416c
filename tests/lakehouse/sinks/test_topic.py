"""A topic as a sink, on a real broker: once under transactions, and with an identity where a batch is sent again."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from lakehouse.errors import RefusedError, UnavailableError
from lakehouse.kafka import client, topics
from lakehouse.settings import ROOT
from lakehouse.sinks import sent_batches
from lakehouse.sinks.topic import RepeatingTopic, TopicSink, TransactionalTopic
from tests.lakehouse.sinks.sending import ROWS, WRITER, batch, message, rows

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("lake")]


def new_topic(broker: str) -> str:
    """A topic of three partitions with nothing in it."""
    name = f"alerts-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(60)
    return name


@pytest.fixture
def topic(broker: str) -> str:
    """One."""
    return new_topic(broker)


def read(broker: str, topic: str, isolation: str = "read_committed") -> list[tuple[Any, dict[str, str]]]:
    """Value and headers of each message."""
    consumer = client.assigned_consumer(broker, "test", {"isolation.level": isolation})
    found, ends = [], 0
    try:
        consumer.assign(sent_batches.first_offsets(consumer, topic))
        while ends < 3:
            got = consumer.poll(30)
            assert got is not None
            if got.error() is None:
                headers = {name: value.decode() for name, value in got.headers() or ()}
                found.append((json.loads(got.value()), headers))
            elif got.error().code() == KafkaError._PARTITION_EOF:
                ends += 1
        return found
    finally:
        consumer.close()


def on_topic(broker: str, topic: str, count: int) -> None:
    """Wait until the topic has that many messages, committed or not."""
    while sum(topics.end_offsets(broker, topic, range(3)).values()) < count:
        time.sleep(0.05)


def run(broker: str, topic: str, folder: Path, fault: str = "") -> int:
    command = [sys.executable, "-m", "tests.lakehouse.sinks.sending", broker, topic, str(folder / "commits"), "5"]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "LAKE_FAULT": fault}, check=False, timeout=120
    ).returncode


def test_killed_before_and_after_its_commits_each_row_is_on_the_topic_once(
    broker: str, topic: str, tmp_path: Path
) -> None:
    for fault in ("alerts.sent:0", "alerts.published:0", "alerts.sent:3", "alerts.sent:3", "alerts.published:4"):
        assert run(broker, topic, tmp_path, fault) == -signal.SIGKILL
    assert run(broker, topic, tmp_path) == 0
    found = read(broker, topic)
    assert Counter((value["batch"], value["row"]) for value, _ in found) == Counter(
        {(number, row): 1 for number in (0, 1, 3, 4) for row in range(ROWS)}
    )
    for value, headers in found:
        assert headers == {"writer": WRITER, "generation": "gen", "batch_id": str(value["batch"])}
    aborted = Counter((value["batch"], value["row"]) for value, _ in read(broker, topic, "read_uncommitted"))
    assert aborted[0, 0] == 2 and aborted[3, 0] == 3  # the kills were between send and commit


def test_a_rebuilt_query_sends_all_of_its_batches(broker: str, topic: str) -> None:
    for generation in ("one", "two"):
        for _ in range(2):
            TransactionalTopic(broker, topic, message, WRITER).send(rows(0), batch(0, generation))()
    assert Counter(headers["generation"] for _, headers in read(broker, topic)) == {"one": ROWS, "two": ROWS}


def test_the_newest_batch_is_found_behind_many_records_of_others(
    broker: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    TransactionalTopic(broker, topic, message, WRITER).send(rows(7), batch(7))()
    other = TransactionalTopic(broker, topic, message, "retail.others")
    for number in range(20):
        other.send(rows(0) * 3, batch(number + 100))()
    monkeypatch.setattr(sent_batches, "NEWEST", 3)
    assert sent_batches.sent_batches(broker, topic, WRITER) == {"gen": 7}
    assert sent_batches.sent_batches(broker, topic, "nobody") == {}


def test_a_batch_that_failed_between_its_writes_is_sent_once_by_the_same_process(broker: str, topic: str) -> None:
    sink = TransactionalTopic(broker, topic, message, WRITER)
    sink.send(rows(0), batch(0))  # a table failed; nobody waits for the topic
    sink.send(rows(0), batch(0))()
    sink.send(rows(0), batch(0))()  # a table failed after the commit
    sink.send(rows(1), batch(1))()
    assert len(read(broker, topic)) == 2 * ROWS


def test_a_process_whose_place_another_has_taken_is_refused(broker: str, topic: str) -> None:
    old, new = (TransactionalTopic(broker, topic, message, WRITER) for _ in range(2))
    old.send(rows(0), batch(0))()
    new.send(rows(1), batch(1))()
    with pytest.raises(RefusedError, match=f"Another process writes to topic {topic} as {WRITER}"):
        old.send(rows(1), batch(1))()
    assert len(read(broker, topic)) == 2 * ROWS


def test_two_topics_of_a_query_do_not_take_each_others_place(broker: str, topic: str) -> None:
    other = new_topic(broker)
    sinks = [TransactionalTopic(broker, name, message, WRITER) for name in (topic, other)]
    for number in range(2):
        for sink in sinks:
            sink.send(rows(number), batch(number))()
    assert [len(read(broker, name)) for name in (topic, other)] == [2 * ROWS] * 2


def test_a_batch_behind_the_open_transaction_of_another_writer_is_not_sent_again(
    broker: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = TransactionalTopic(broker, topic, message, "retail.others").send(rows(0) * 3, batch(100))
    on_topic(broker, topic, 3 * ROWS)
    monkeypatch.setattr(sent_batches, "_await_open_transactions", lambda *_: None)
    TransactionalTopic(broker, topic, message, WRITER).send(rows(0), batch(0))()
    monkeypatch.undo()
    monkeypatch.setattr(sent_batches, "OTHERS_SECONDS", 0.5)
    again = TransactionalTopic(broker, topic, message, WRITER)
    with pytest.raises(UnavailableError, match=f"Another writer's transaction in topic {topic} has been open"):
        again.send(rows(0), batch(0))()
    other()
    again.send(rows(0), batch(0))()
    assert Counter(headers["writer"] for _, headers in read(broker, topic)) == {WRITER: ROWS, "retail.others": 3 * ROWS}


def test_a_transaction_that_the_broker_ended_is_sent_again(
    broker: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.sinks.topic.TRANSACTION_SECONDS", 1)
    sink = TransactionalTopic(broker, topic, message, WRITER)
    commit = sink.send(rows(0), batch(0))
    on_topic(broker, topic, ROWS)
    sent_batches.sent_batches(broker, topic, WRITER)  # waits until the broker has ended it
    with pytest.raises(UnavailableError, match="was open for more than 1 s, and the broker ended it"):
        commit()
    monkeypatch.undo()
    sink.send(rows(0), batch(0))()
    assert len(read(broker, topic)) == ROWS


def test_a_topic_that_is_not_there_does_not_read_as_one_with_nothing_sent(broker: str) -> None:
    with pytest.raises(UnavailableError, match="The broker does not say which batches topic no-such-topic has: "):
        sent_batches.sent_batches(broker, "no-such-topic", WRITER)


def repeating(broker: str, topic: str) -> TopicSink:
    return RepeatingTopic(broker, topic, message, identity="key")


def transactional(broker: str, topic: str) -> TopicSink:
    return TransactionalTopic(broker, topic, message, WRITER)


@pytest.mark.parametrize("of", [repeating, transactional])
def test_a_message_that_is_too_large_is_refused_and_the_next_batch_is_sent(
    broker: str, topic: str, of: Callable[[str, str], TopicSink]
) -> None:
    sink: Any = of(broker, topic)
    sink.send(rows(0), batch(0))()
    used = sink._producer
    with pytest.raises(RefusedError, match=rf"too large for topic {topic}: .*raise its `max\.message\.bytes`"):
        sink.send([{"row": "x" * 2_000_000}], batch(1))()
    sink.send(rows(1), batch(1))()
    assert len(read(broker, topic)) == 2 * ROWS
    assert sink._producer is not used


def test_a_message_may_be_as_large_as_its_topic_allows(broker: str, topic: str) -> None:
    entry = ConfigEntry("max.message.bytes", "4000000", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": broker})  # its futures die with it
    admin.incremental_alter_configs([change])[change].result(60)
    repeating(broker, topic).send([{"row": "x" * 1_900_000}], batch(0))()
    assert len(read(broker, topic)) == 1


def test_a_batch_sent_again_has_the_coordinates_of_its_source(broker: str, topic: str) -> None:
    of_source = [{"row": row, "topic": "sales", "partition": 1, "offset": 40 + row} for row in range(2)]
    for _ in range(2):
        RepeatingTopic(broker, topic, message, identity="source").send(of_source, batch(3))()
    sent = Counter((headers["source"], headers["batch_id"]) for _, headers in read(broker, topic))
    assert sent == {("sales:1:40", "3"): 2, ("sales:1:41", "3"): 2}


def test_absolute_values_are_identified_by_their_key(broker: str, topic: str) -> None:
    RepeatingTopic(broker, topic, message, identity="key").send(rows(0), batch(3))()
    assert [headers for _, headers in read(broker, topic)] == [{"batch_id": "3"}] * ROWS


def test_without_a_broker_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.sinks.topic.FLUSH_SECONDS", 1.0)
    sinks = [
        TransactionalTopic("127.0.0.1:1", "nowhere", message, WRITER),
        RepeatingTopic("127.0.0.1:1", "nowhere", message, "key"),
    ]
    for sink in sinks:
        with pytest.raises(UnavailableError, match="not get to topic nowhere"):
            sink.send(rows(0), batch(0))()
