"""How far a query is behind its topics, and how fast a topic grows."""

import heapq
from collections import deque
from collections.abc import Collection, Mapping

from lakehouse.kafka.offset_ranges import Offsets, TopicPartition
from lakehouse.streaming.checkpoints import BatchPlan

WORST = 10  # partitions that are recorded and shown of many: 700 of them say no more


class RateMeter:
    """Events per second from a growing total, over the last `seconds`."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, total: int, at: float) -> float | None:
        """The rate after this measurement; None until there are two, and after a fall of the total (a new topic)."""
        if self._seen and total < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at, total))
        while len(self._seen) > 2 and self._seen[1][0] <= at - self._seconds:
            self._seen.popleft()
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else None


def lag(ends: Offsets, starts: Offsets, done: BatchPlan | None) -> int:
    """Events on the topics that the last committed batch has not read."""
    read = done.ends if done else {}
    return sum(max(0, end - read.get(where, starts.get(where, 0))) for where, end in ends.items())


def worst(lags: Mapping[TopicPartition, int | None], most: int = WORST) -> list[TopicPartition]:
    """The partitions with the largest lags, in the order of topic and partition; all where there are no more."""
    if len(lags) <= most:
        return sorted(lags)
    return sorted(heapq.nlargest(most, lags, key=lambda where: lags[where] or 0))


def by_topic(lags: Mapping[TopicPartition, int | None]) -> dict[str, int | None]:
    """The lag of each topic; None where a partition's is not known."""
    parts: dict[str, list[int | None]] = {}
    for (topic, _partition), lag in lags.items():
        parts.setdefault(topic, []).append(lag)
    return {topic: total(known) for topic, known in parts.items()}


def total(lags: Collection[int | None]) -> int | None:
    """The sum; None where one of them is not known."""
    return None if None in lags else sum(lag for lag in lags if lag is not None)
