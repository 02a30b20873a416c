"""Updated windows as messages on a topic, in the form that the KSQL table of houses.ksql publishes."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from confluent_kafka import KafkaError, Message

from lakehouse.errors import UnavailableError
from lakehouse.kafka import client

FLUSH_SECONDS = 30.0


def update_message(row: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Key and value of an updated window.

    The key is KSQL's for a windowed table with KEY_FORMAT='KAFKA': the decade as a 4-byte integer and the window's
    start as 8 bytes of epoch milliseconds. The value holds absolute numbers; window bounds are epoch milliseconds.
    """
    start, end = _millis(row["window_start"]), _millis(row["window_end"])
    value = {
        "DECADE_BUILT": row["decade"],
        "AVG_PRICE": row["avg_price"],
        "NUM_HOUSES": row["sales"],
        "WINDOW_START": start,
        "WINDOW_END": end,
    }
    return struct.pack(">iq", row["decade"], start), json.dumps(value).encode()


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def publisher(bootstrap_servers: str, topic: str) -> Callable[[Sequence[Mapping[str, Any]]], Callable[[], None]]:
    """A function that sends updated windows at once and returns one that waits until the broker has them all.

    The waiting one raises UnavailableError when the broker does not acknowledge them.
    """
    producer = client.producer(bootstrap_servers, {"linger.ms": 0})

    def publish(rows: Sequence[Mapping[str, Any]]) -> Callable[[], None]:
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        for row in rows:
            key, value = update_message(row)
            # The batch that wrote the number, for whoever traces it.
            headers: dict[str, str | bytes | None] = {"batch_id": str(row["batch_id"])}
            producer.produce(topic, value, key, on_delivery=delivered, headers=headers)
        producer.poll(0)

        def acknowledged() -> None:
            left = producer.flush(FLUSH_SECONDS)
            if left or failed:
                why = failed[0].str() if failed else f"no answer in {FLUSH_SECONDS:.0f} s"
                raise UnavailableError(f"{left + len(failed)} window updates did not get to topic {topic}: {why}.")

        return acknowledged

    return publish
