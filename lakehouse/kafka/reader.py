"""Reads topics with a plain consumer: no Spark, no group, nothing committed."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from lakehouse.errors import UnavailableError
from lakehouse.kafka import client
from lakehouse.kafka.offset_ranges import OffsetRange, TopicPartition


class Record(NamedTuple):
    """A record as the broker gave it; `millis` is its timestamp."""

    offset: int
    millis: int
    key: bytes | None
    value: bytes | None


Key = TypeVar("Key")
SILENT_SECONDS = 30
BATCH = 5000


def slices(ranges: Mapping[Key, OffsetRange], size: int) -> Iterator[dict[Key, OffsetRange]]:
    """The ranges in steps of about `size` offsets in all; partitions advance together, as they were written."""
    total = sum(each.length for each in ranges.values())
    steps = max(1, -(-total // size))
    for step in range(steps):
        yield {
            partition: OffsetRange(start + (end - start) * step // steps, start + (end - start) * (step + 1) // steps)
            for partition, (start, end) in ranges.items()
        }


def shares(ranges: Mapping[Key, OffsetRange], size: int) -> Iterator[dict[Key, OffsetRange]]:
    """The ranges in shares of about `size` offsets: of one partition, or of several that have fewer together."""
    share: dict[Key, OffsetRange] = {}
    for partition, (start, end) in ranges.items():
        steps = max(1, round((end - start) / size))
        for step in range(steps):
            part = OffsetRange(start + (end - start) * step // steps, start + (end - start) * (step + 1) // steps)
            if share and sum(each.length for each in share.values()) + part.length > size:
                yield share
                share = {}
            share[partition] = part
    if share:
        yield share


class TopicReader:
    """Reads committed records of topics; close it when done."""

    def __init__(self, bootstrap_servers: str) -> None:
        more = {"isolation.level": "read_committed", "check.crcs": True, "queued.max.messages.kbytes": 32768}
        self._consumer = client.assigned_consumer(bootstrap_servers, "lake-audit", more)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def read(self, ranges: Mapping[TopicPartition, OffsetRange]) -> Iterator[tuple[TopicPartition, list[Record]]]:
        """The records of the ranges as (topic and partition, records in order), some thousand at a time.

        Raises UnavailableError when the broker does not answer for 30 s.
        """
        left = {where: end for where, (start, end) in ranges.items() if start < end}
        places = [confluent_kafka.TopicPartition(*where, ranges[where][0]) for where in left]
        self._consumer.assign(places)
        self._consumer.resume(places)  # a partition paused by the range before stays paused
        answered_at = time.monotonic()
        while left:
            try:
                messages = self._consumer.consume(BATCH, timeout=0.1)
                yield from self._sorted(messages, left)
            except KafkaException:
                raise _silent(left) from None
            answered_at = time.monotonic() if messages else answered_at  # after the caller is done with them
            if time.monotonic() - answered_at > SILENT_SECONDS:
                raise _silent(left)

    def _sorted(
        self, messages: list[Message], left: dict[TopicPartition, int]
    ) -> Iterator[tuple[TopicPartition, list[Record]]]:
        """The records by partition; partitions read to their end are removed from `left`."""
        given: dict[TopicPartition, list[Message]] = defaultdict(list)
        ended = set()
        for message in messages:
            where = message.topic(), message.partition()
            if message.error() is None:
                given[where].append(message)  # type: ignore[index]  # a record has a place
            else:
                _raise_unless_end(message)
                ended.add(where)
        for where in given.keys() & left.keys():
            records = [Record(one.offset(), one.timestamp()[1], one.key(), one.value()) for one in given[where]]  # type: ignore[arg-type]
            if records[-1].offset >= left[where] - 1:
                ended.add(where)
                records = [record for record in records if record.offset < left[where]]
            if records:
                yield where, records
        for where in left.keys() & ended:
            del left[where]
            self._consumer.pause([confluent_kafka.TopicPartition(*where)])


def _raise_unless_end(message: Message) -> None:
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)


def _silent(left: Iterable[TopicPartition]) -> UnavailableError:
    names = " and ".join(sorted({topic for topic, _partition in left}))
    return UnavailableError(
        f"The records of {names} cannot be read: the Kafka broker does not answer (waited {SILENT_SECONDS} s).",
        "Check that it runs: `lake status`. The audit can be run again at any time.",
    )
