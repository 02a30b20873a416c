"""Which request gets a thread: no callback, however slow and however often asked, may take all of them.

At most three of one callback (or one address) run at a time; the others of it wait without a thread. What the browser
lives on, the beat, the scripts and the probe, has threads of its own. Of an address POSTs and the rest are two lanes:
who asks what became of a request does not wait for those that the broker is slow to take. A POST that would wait long
is answered 503.
"""

import json
import re
import threading
import time
from collections import Counter, defaultdict, deque
from typing import Any

from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error

from dashboard.server import tick_cache

THREADS = 8
QUICK_THREADS = 2
MOST = 3  # of one lane at a time
WAITING = 30  # POSTs to one address
PATIENCE = 2.0  # seconds that such a POST waits; then those before it take as long each
RETRY_SECONDS = 2
QUICK = ("/health", "/beat", "/assets/", "/_dash-component-suites/")
_OUTPUT = re.compile(rb'"output":\s*"((?:[^"\\]|\\.)*)"')
_POST = "POST "  # how the lane of what may be refused begins
_LOOKED_AT = 4096  # bytes of a callback's body; its output comes first


class Lanes(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """Waitress's dispatcher, with lanes."""

    def __init__(self) -> None:
        super().__init__()
        self._quick = ThreadedTaskDispatcher()
        self._taken = threading.Lock()
        self._running: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[tuple[float, Any]]] = defaultdict(deque)
        self._quick.set_thread_count(QUICK_THREADS)
        self.set_thread_count(THREADS)

    def add_task(self, task: Any) -> None:
        """Have the request answered, in its lane."""
        name = lane(task)
        if name is None:
            self._quick.add_task(task)
            return
        if self._begins(name, task):
            super().add_task(_Laned(self, name, task))

    def _begins(self, name: str, task: Any) -> bool:
        """Count the request as running; else it waits, or is refused."""
        with self._taken:
            if self._running[name] < MOST:
                self._running[name] += 1
                return True
            if not name.startswith(_POST) or len(self._waiting[name]) < WAITING:
                self._waiting[name].append((time.monotonic(), task))
                return False
        _refuse(task)
        self._quick.add_task(task)
        return False

    def left(self, name: str) -> None:
        """One of the lane is done: the next one's turn."""
        with self._taken:
            waiting = self._waiting[name]
            came_at, task = waiting.popleft() if waiting else (0.0, None)
            if task is None:
                self._running[name] -= 1
            if not waiting:
                del self._waiting[name]
        if task is None:
            return
        if name.startswith(_POST) and time.monotonic() - came_at > PATIENCE:
            _refuse(task)
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


class _Busy(Error):  # type: ignore[misc]  # waitress has no types
    """The answer to a POST that nobody looks at."""

    def to_response(self, _ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = {
            "Content-Type": "application/json",
            "Retry-After": str(RETRY_SECONDS),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return "503 Service Unavailable", [*headers.items()], json.dumps({"error": self.body}).encode()


def _refuse(task: Any) -> None:
    """Let the request be answered by waitress itself, as it answers one that is malformed."""
    what = "The dashboard has too many requests to this address that are not done yet; this one was not looked at."
    task.requests[0].error = _Busy(f"{what} Send it again in {RETRY_SECONDS} s.")


def lane(task: Any) -> str | None:
    """The lane of a request: the callback's output, else method and address; None for what is always quick."""
    request = task.requests[0] if getattr(task, "requests", None) else None
    path = str(getattr(request, "path", ""))
    if path.startswith(QUICK):
        return None
    if path != tick_cache.ENDPOINT:
        address = "/".join(path.split("/", 3)[:3])  # /api/<domain>/… is one
        return f"{_POST}{address}" if getattr(request, "command", "") == "POST" else address
    assert request is not None
    body = request.get_body_stream()
    found = _OUTPUT.search(body.read(_LOOKED_AT))
    body.seek(0)
    return found[1].decode(errors="replace") if found else path
