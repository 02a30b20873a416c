"""Which batches a topic has, by the headers of its messages: read back before a transactional sink goes on."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lakehouse.errors import UnavailableError
from lakehouse.kafka import client, topics

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

WRITER, GENERATION, NUMBER = "writer", "generation", "batch_id"
SECONDS = 30.0  # without any answer
OTHERS_SECONDS = 30.0  # for transactions of others; then the query is restarted, and waits again
NEWEST = 1_000  # records of a partition that are read first; ten times as many where none is of this writer


def sent_batches(bootstrap_servers: str, topic: str, writer: str) -> dict[str, int]:
    """The newest batch by generation among the newest committed messages of the writer, over all partitions.

    A transaction has its messages in all partitions or in none, so the newest of all partitions is the newest batch.
    Another writer's open transaction hides what was committed behind it, so its end is waited for. Raises
    UnavailableError when it does not come in time, when the broker does not answer, or when there is no such topic.
    """
    consumer = client.assigned_consumer(bootstrap_servers, "sent-batches", {"isolation.level": "read_committed"})
    sent: dict[str, int] = {}
    try:
        places = first_offsets(consumer, topic)
        _await_open_transactions(bootstrap_servers, topic, [place.partition for place in places])
        for place in places:
            for generation, batch_id in _newest_of(consumer, place, writer):
                sent[generation] = max(batch_id, sent.get(generation, -1))
    finally:
        consumer.close()
    return sent


def first_offsets(consumer: "Consumer", topic: str) -> "list[TopicPartition]":
    """The first offset of each partition of the topic. Raises UnavailableError when the broker knows none."""
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    found = consumer.list_topics(topic, timeout=SECONDS).topics[topic]
    if found.error is not None or not found.partitions:
        why = found.error.str() if found.error is not None else "it has no partitions"
        raise UnavailableError(f"The broker does not say which batches topic {topic} has: {why}.")
    return [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in found.partitions]


def _await_open_transactions(bootstrap_servers: str, topic: str, partitions: Sequence[int]) -> None:
    """Wait until every message that the topic has now is committed or aborted."""
    ends = topics.end_offsets(bootstrap_servers, topic, partitions)
    until = time.monotonic() + OTHERS_SECONDS
    while True:
        committed = topics.committed_ends(bootstrap_servers, [(topic, partition) for partition in partitions])
        if all(committed[topic, partition] >= end for partition, end in ends.items()):
            return
        if time.monotonic() > until:
            raise UnavailableError(
                f"Another writer's transaction in topic {topic} has been open for {OTHERS_SECONDS:.0f} s: "
                "which batches were sent behind it cannot be read before it ends."
            )
        time.sleep(0.1)


def _newest_of(consumer: "Consumer", place: "TopicPartition", writer: str) -> list[tuple[str, int]]:
    """Generation and number of the writer's newest batches in a partition; none when it has no message there."""
    first, end = consumer.get_watermark_offsets(place, timeout=SECONDS)
    count = NEWEST
    while True:
        place.offset = max(first, end - count)
        found = _batches(consumer, place, writer)
        if found or place.offset == first:
            return found
        count *= 10


def _batches(consumer: "Consumer", start: "TopicPartition", writer: str) -> list[tuple[str, int]]:
    """The writer's batches from an offset to the end of the partition, committed ones alone."""
    from confluent_kafka import KafkaError

    consumer.assign([start])
    found: dict[tuple[str, int], None] = {}
    while True:
        message = consumer.poll(SECONDS)
        if message is None:
            raise UnavailableError(f"The broker does not say which batches topic {start.topic} has.")
        error = message.error()
        if error is None:
            headers = _texts(message.headers() or ())
            if headers.get(WRITER) == writer:
                found[headers[GENERATION], int(headers[NUMBER])] = None
        elif error.code() == KafkaError._PARTITION_EOF:
            return list(found)
        elif not error.retriable():
            raise UnavailableError(f"Topic {start.topic} cannot be read: {error.str()}.")


def _texts(headers: Any) -> Mapping[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in headers}
