"""The last messages of a topic, read by assignment: no consumer group, nothing committed."""

import contextlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from lakehouse.errors import UnavailableError
from lakehouse.kafka import client
from lakehouse.kafka.offset_ranges import Offsets

SHOWN_BYTES = 2048


@dataclass(frozen=True)
class Peeked:
    """A message as text: coordinates, the broker's or sender's time, key and value (None when there is none)."""

    partition: int
    offset: int
    recorded_at: datetime | None
    key: str | None
    value: str | None
    value_bytes: int


def last_messages(bootstrap_servers: str, topic: str, ends: Offsets, starts: Offsets, count: int = 20) -> list[Peeked]:
    """The newest messages, newest first, read within 3 s. Raises UnavailableError when the broker does not answer."""
    where = [
        TopicPartition(*place, max(starts.get(place, 0), end - count))
        for place, end in ends.items()  # empty partitions too: `ends` is some seconds old
        if place[0] == topic
    ]
    consumer = client.assigned_consumer(bootstrap_servers, "lake-peek")
    try:
        consumer.assign(where)
        messages = _consume(consumer, len(where)) if where else []
    except KafkaException:
        raise UnavailableError(f"The messages of {topic} cannot be read.", "Check the broker: `lake status`.") from None
    finally:
        consumer.close()
    newest = sorted(messages, key=lambda message: (message.timestamp()[1], message.offset() or 0), reverse=True)
    return [_peeked(message) for message in newest[:count]]


def _consume(consumer: Consumer, partitions: int, seconds: float = 3.0) -> list[Message]:
    """The messages up to the end of every partition, or until the time is over."""
    messages: list[Message] = []
    at_end: set[int | None] = set()
    until = time.monotonic() + seconds
    while len(at_end) < partitions and (left := until - time.monotonic()) > 0:
        for message in consumer.consume(100, timeout=min(left, 0.2)):
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                at_end.add(message.partition())
    if not messages and len(at_end) < partitions:
        raise UnavailableError("No message came within 3 s.", "Check the broker: `lake status`.")
    return messages


def _peeked(message: Message) -> Peeked:
    key, value = message.key(), message.value()
    millis = message.timestamp()[1]
    return Peeked(
        partition=message.partition() or 0,
        offset=OFFSET_INVALID if message.offset() is None else int(message.offset() or 0),
        recorded_at=datetime.fromtimestamp(millis / 1000, UTC) if millis and 0 < millis < 253_402_300_799_000 else None,
        key=None if key is None else _text(key)[:200],
        value=None if value is None else shown(value),
        value_bytes=len(value or b""),
    )


def shown(value: bytes) -> str:
    """At most 2 KB of the value as text; JSON is indented."""
    if len(value) <= 16 * SHOWN_BYTES:
        with contextlib.suppress(ValueError, RecursionError):
            value = json.dumps(json.loads(value), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return _text(value[:SHOWN_BYTES]) + (" …" if len(value) > SHOWN_BYTES else "")


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
