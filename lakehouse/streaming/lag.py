"""How far a query is behind its topic, and how fast a topic grows."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from lakehouse.streaming.checkpoints import BatchPlan


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


def lag(ends: Mapping[tuple[str, int], int], starts: Mapping[tuple[str, int], int], done: BatchPlan | None) -> int:
    """Events on the topics that the last committed batch has not read."""
    read: Mapping[Any, int] = done.ends if done else {}
    return sum(max(0, end - read.get(where, starts.get(where, 0))) for where, end in ends.items())
