"""Up to when a topic is read: the broker is asked for its ends once a second, and each record read is noted."""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from confluent_kafka import KafkaException

from lakehouse.errors import LakeError
from lakehouse.kafka import topics

PAUSE = 1.0  # seconds between two questions; and how long one may take


class ReadUntil:
    """Follows the reading of one topic. While the broker is away, the time stands still."""

    def __init__(self, address: str, topic: str, following: Mapping[int, int]) -> None:
        """`following` has the next offset to read of each partition."""
        self._address, self._topic, self._next = address, topic, dict(following)
        self._ends: Mapping[tuple[str, int], int] | None = None
        self._asked_at, self._ask_again = datetime.min.replace(tzinfo=UTC), 0.0

    def note(self, partition: int, following: int) -> None:
        """Everything of the partition before that offset is read."""
        self._next[partition] = max(following, self._next.get(partition, 0))

    def moment(self) -> datetime | None:
        """A time at which the topic had no record that is not read by now; None when there is no newer one."""
        if self._ends is None and time.monotonic() >= self._ask_again:
            self._ask()
        if self._ends is None or any(self._next[at] < end for (_, at), end in self._ends.items()):
            return None
        self._ends = None
        return self._asked_at

    def _ask(self) -> None:
        asked_at = datetime.now(UTC)
        with suppress(KafkaException, LakeError, TimeoutError):  # the broker is away
            places = [(self._topic, partition) for partition in self._next]
            self._ends, self._asked_at = topics.committed_ends(self._address, places, PAUSE), asked_at
        self._ask_again = time.monotonic() + PAUSE
