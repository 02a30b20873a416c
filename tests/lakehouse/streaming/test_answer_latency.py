"""The latency of answers as the topic shows it: what was asked since the start counts, and each request once."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.contract.topics import Topic
from lakehouse.kafka import client, topics
from lakehouse.streaming.answer_latency import LatencyMeter
from tests.waiting import wait_for

pytestmark = pytest.mark.e2e


def test_latency_and_what_is_answered(lake: Path, broker: str) -> None:
    answers = Topic("measured", 2, "")
    topics.ensure(broker, [answers])
    producer, meter = client.producer(broker, {}), LatencyMeter(broker, answers.name, [0, 1])
    try:
        wait_for(lambda: answered(producer, meter, offset=0, asked=0))  # the meter begins at the end: until it follows
        assert meter.last_answer_at() is not None
        assert meter.latency() is None  # asked long before the meter
        now = int(time.time() * 1000)
        send(producer, 1, now + 1000, at=now + 1010)
        send(producer, 2, now + 1000, at=now + 1030)
        send(producer, 1, now + 1000, at=now + 9000)  # answered again
        producer.produce(answers.name, b"of somebody else")
        send(producer, 3, now + 1000, at=now + 1040)
        producer.flush()
        wait_for(lambda: meter.answered() == {("asked", 0): 4})
        assert meter.latency() == (30, 40, 40, 3)
        assert meter.last_answer_at() == datetime.fromtimestamp((now + 1040) / 1000, UTC)  # not the one answered again
    finally:
        meter.close()


def answered(producer: object, meter: LatencyMeter, offset: int, asked: int) -> bool:
    send(producer, offset, asked, at=int(time.time() * 1000))
    producer.flush()  # type: ignore[attr-defined]
    return meter.answered() == {("asked", 0): offset + 1}


def send(producer: object, offset: int, asked: int, at: int) -> None:
    """An answer, stamped with this time, to the request of that offset, asked then."""
    texts = {"topic": "asked", "partition": "0", "offset": str(offset), "time": str(asked)}
    headers = [(f"source.{name}", text.encode()) for name, text in texts.items()]
    producer.produce("measured", b"!", partition=0, headers=headers, timestamp=at)  # type: ignore[attr-defined]
