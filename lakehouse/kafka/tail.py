"""The newest records of a topic as they come, at any rate: what comes faster than it can be looked at is skipped."""

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from lakehouse.kafka import client

MOST = 1000  # records of one look; more came than that: it goes on at the end
MOST_BYTES = 256 * 1024  # of a value that is kept: no valid event is larger
FETCH_MILLIS = 200  # the broker collects records for so long; else it would be asked for each one
_TAIL = -2000  # librdkafka's RD_KAFKA_OFFSET_TAIL: so many before the end
_LITTLE = {
    "queued.max.messages.kbytes": 2048,
    "queued.min.messages": MOST,
    "fetch.queue.backoff.ms": FETCH_MILLIS,
    "max.partition.fetch.bytes": 256 * 1024,
    "fetch.min.bytes": 64 * 1024,
    "fetch.wait.max.ms": FETCH_MILLIS,
    "reconnect.backoff.max.ms": 1000,
}
# The client connects again by itself.
_PASSES = (
    KafkaError._PARTITION_EOF,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
)


class Newest(NamedTuple):
    """A record in the order of a list: its timestamp, its place, its value (None where it is too large to be kept)."""

    millis: int
    partition: int
    offset: int
    value: bytes | None


class TopicTail:
    """Reads partitions of a topic from some records before their ends on; it joins no group and commits nothing."""

    def __init__(self, bootstrap_servers: str, topic: str, partitions: Sequence[int], newest: int) -> None:
        """`newest`: of each partition, how many of the records that are there already are read."""
        each = max(1, min(newest, MOST // 2 // max(1, len(partitions))))
        self._ends = [confluent_kafka.TopicPartition(topic, partition, _TAIL - each) for partition in partitions]
        self._consumer = client.assigned_consumer(bootstrap_servers, "lake-list", _LITTLE)
        self._is_behind = True

    def __enter__(self) -> "TopicTail":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def read(self, seconds: float) -> list[Newest]:
        """What comes within the time, at most MOST records, some perhaps once more. Raises KafkaException.

        It is raised when the topic cannot be read as it was: it is gone, made again, or closed to us.
        """
        if self._is_behind:
            self._consumer.assign(self._ends)  # drops what the client has fetched already
        messages = self._consumer.consume(MOST, timeout=seconds)
        self._is_behind = len(messages) == MOST
        if self._is_behind:
            self._consumer.unassign()  # nothing is fetched until the next look
        return [found for message in messages if (found := _newest(message)) is not None]


def _newest(message: Message) -> Newest | None:
    if (error := message.error()) is not None:
        if error.code() in _PASSES:
            return None
        raise KafkaException(error)
    value = message.value()
    kept = value if value is not None and len(value) <= MOST_BYTES else None
    return Newest(max(0, message.timestamp()[1]), message.partition() or 0, message.offset() or 0, kept)
