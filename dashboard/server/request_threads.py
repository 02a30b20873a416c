"""Which request gets a thread: no callback, however slow and however often asked, may take all of them.

At most three of one callback (or one address) run at a time; the others of it wait without a thread. What the browser
lives on, the beat, the scripts and the probe, has threads of its own.
"""

import re
import threading
from collections import Counter, defaultdict, deque
from typing import Any

from waitress.task import ThreadedTaskDispatcher

from dashboard.server import tick_cache

THREADS = 8
QUICK_THREADS = 2
MOST = 3  # of one lane at a time
QUICK = ("/health", "/beat", "/assets/", "/_dash-component-suites/")
_OUTPUT = re.compile(rb'"output":\s*"((?:[^"\\]|\\.)*)"')
_LOOKED_AT = 4096  # bytes of a callback's body; its output comes first


class Lanes(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """Waitress's dispatcher, with lanes."""

    def __init__(self) -> None:
        super().__init__()
        self._quick = ThreadedTaskDispatcher()
        self._taken = threading.Lock()
        self._running: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._quick.set_thread_count(QUICK_THREADS)
        self.set_thread_count(THREADS)

    def add_task(self, task: Any) -> None:
        """Have the request answered, in its lane."""
        name = lane(task)
        if name is None:
            self._quick.add_task(task)
            return
        with self._taken:
            if self._running[name] >= MOST:
                self._waiting[name].append(task)
                return
            self._running[name] += 1
        super().add_task(_Laned(self, name, task))

    def left(self, name: str) -> None:
        """One of the lane is done: the next one's turn."""
        with self._taken:
            waiting = self._waiting[name]
            task = waiting.popleft() if waiting else None
            if task is None:
                self._running[name] -= 1
            if not waiting:
                del self._waiting[name]
        if task is not None:
            super().add_task(_Laned(self, name, task))

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End all threads."""
        self._quick.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


class _Laned:
    """A request in its lane."""

    def __init__(self, lanes: Lanes, name: str, task: Any) -> None:
        self._lanes, self._name, self._task = lanes, name, task

    def service(self) -> None:
        try:
            self._task.service()
        finally:
            self._lanes.left(self._name)

    def cancel(self) -> None:
        self._task.cancel()


def lane(task: Any) -> str | None:
    """The lane of a request: the callback's output, else its address; None for what is always quick."""
    request = task.requests[0] if getattr(task, "requests", None) else None
    path = str(getattr(request, "path", ""))
    if path.startswith(QUICK):
        return None
    if path != tick_cache.ENDPOINT:
        return "/".join(path.split("/", 3)[:3])  # /api/<domain>/… is one
    assert request is not None
    body = request.get_body_stream()
    found = _OUTPUT.search(body.read(_LOOKED_AT))
    body.seek(0)
    return found[1].decode(errors="replace") if found else path
