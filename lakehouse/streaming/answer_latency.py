"""How long requests wait for their answers, and how far they are answered: from the topic of answers itself.

Spark reports nothing of a batch in real-time mode until it ends, a minute later. Each answer names its request.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import OFFSET_END, KafkaException, TopicPartition

from lakehouse.kafka import client
from lakehouse.kafka.source_headers import Source, source_of

if TYPE_CHECKING:
    from confluent_kafka import Message

SECONDS = 60.0  # answers of the last minute count
MOST = 20_000  # of them are kept


class Latency(NamedTuple):
    """Milliseconds from a request's record to its answer's, by the clocks of those who wrote them, and of how many."""

    p50: float
    p95: float
    p99: float
    answers: int


class LatencyMeter:
    """Follows the topic of answers in a thread of its own until it is closed."""

    def __init__(self, bootstrap_servers: str, topic: str, partitions: Sequence[int]) -> None:
        self._consumer = client.assigned_consumer(bootstrap_servers, "lake-latency")
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_END) for partition in partitions])
        self._began = time.time() * 1000
        self._waited: deque[tuple[float, float]] = deque(maxlen=MOST)
        self._answered: dict[tuple[str, int], int] = {}
        self._last_millis = 0
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"latency-{topic}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()
        self._consumer.close()

    def latency(self) -> Latency | None:
        """The quantiles of the last minute; None without answers."""
        with self._lock:
            oldest = time.monotonic() - SECONDS
            while self._waited and self._waited[0][0] < oldest:
                self._waited.popleft()
            waited = sorted(millis for _, millis in self._waited)
        if not waited:
            return None
        p50, p95, p99 = (waited[min(len(waited) - 1, int(share * len(waited)))] for share in (0.5, 0.95, 0.99))
        return Latency(p50, p95, p99, len(waited))

    def answered(self) -> Mapping[tuple[str, int], int]:
        """Up to which offset, exclusive, requests were answered since this process runs."""
        with self._lock:
            return dict(self._answered)

    def last_answer_at(self) -> datetime | None:
        """The time of the newest answer's record since this process runs; None without one."""
        with self._lock:
            millis = self._last_millis
        return datetime.fromtimestamp(millis / 1000, UTC) if millis else None

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                messages = self._consumer.consume(500, 0.5)
            except KafkaException:  # the broker is away
                self._ending.wait(1)
                continue
            with self._lock:
                for message in messages:
                    self._take(message)

    def _take(self, message: "Message") -> None:
        source = None if message.error() else source_of(message.headers())
        if source is None:
            return
        where = (source.topic, source.partition)
        if source.offset >= self._answered.get(where, 0):  # not one that is answered again
            self._answered[where] = source.offset + 1
            answered_at = message.timestamp()[1]
            self._last_millis = max(self._last_millis, answered_at)
            self._count(source, answered_at)

    def _count(self, source: Source, answered_at: int) -> None:
        """Count what was asked while this process runs: earlier requests have waited for its start."""
        if source.millis >= self._began:
            self._waited.append((time.monotonic(), max(0.0, answered_at - source.millis)))
