"""Keeps a streaming query running: started again with back-off when it fails, left alone after five in a row."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse.core import restart_policy
from lakehouse.errors import LakeError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from pyspark.sql.streaming.query import StreamingQuery

log = structlog.get_logger()


@dataclass
class Tended:
    """A query under care; `state` is running, backing off, failed or finished. `start` may raise RefusedError."""

    name: str
    start: Callable[[], "StreamingQuery"]
    stream: "StreamingQuery | None" = None
    state: str = "backing off"
    failures: int = 0  # in a row, of its own; what waiting heals is none
    tries: int = 0  # in a row, of either kind
    restarts: int = 0
    error: LakeError | None = None
    _started_at: float = 0.0
    _retry_at: float = 0.0
    _progress: dict[str, Any] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether Spark runs it now."""
        return self.stream is not None and self.stream.isActive

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.state in ("failed", "finished")

    def begin(self) -> None:
        """Start it for the first time; what speaks against it is the caller's to hear."""
        self.stream, self.state, self._started_at = self.start(), "running", time.monotonic()

    def tend(self) -> bool:
        """See how it does, and start it again when its time has come; whether its state has changed."""
        before = self.state
        now = time.monotonic()
        if self.state == "backing off" and now >= self._retry_at:
            self.restarts += 1
            try:
                self.begin()
            except Exception as failure:
                self._failed(start_failed(self.name, failure), str(failure))
        elif self.state == "running" and self.stream is not None:
            active = self.stream.isActive  # asked first: failing between the two, it would pass for finished
            if error := self.stream.exception():
                self._failed(query_failed(self.name, str(error)), str(error))
            elif not active:
                self.state = "finished"
            elif now - self._started_at > restart_policy.STABLE_SECONDS:
                self.failures = self.tries = 0
        return self.state != before

    def _failed(self, failed: LakeError, error: str) -> None:
        if isinstance(failed, RefusedError):  # waiting does not heal it
            self._leave(failed)
            return
        heals = isinstance(failed, UnavailableError)  # a full disk, a silent broker: it goes on once they are back
        self.failures, self.tries = self.failures + (not heals), self.tries + 1
        log.error("query failed", query=self.name, failures=self.failures, error=str(failed) if heals else error)
        if self.failures >= restart_policy.MAX_FAILURES and not heals:
            self._leave(LakeError(f"{failed.what} It failed {self.failures} times in a row.", failed.fix))
            return
        wait = restart_policy.wait_after(self.tries)
        self.error, self.state, self._retry_at = failed, "backing off", time.monotonic() + wait
        log.warning("query is started again", query=self.name, in_seconds=wait, reason=str(failed))

    def _leave(self, error: LakeError) -> None:
        self.error, self.state = error, "failed"
        log.error("query is left alone", query=self.name, error=str(error))

    def progress(self) -> dict[str, Any]:
        """Spark's last progress, with `state`, `restarts`, `last_error`, and `error` while it does not run."""
        last = self.stream.lastProgress if self.stream is not None else None
        if last is not None:
            self._progress = json.loads(last.json)
        said = str(self.error) if self.error else ""
        error = said if self.state in ("backing off", "failed") else ""
        told = {"state": self.state, "restarts": self.restarts, "error": error, "last_error": said}
        return {**self._progress, **told, "written_at": datetime.now(UTC).isoformat()}


def start_failed(name: str, failure: Exception) -> LakeError:
    """What kept a query from being started: a LakeError speaks for itself, anything else as when it fails later."""
    return failure if isinstance(failure, LakeError) else query_failed(name, str(failure))


def query_failed(name: str, error: str) -> LakeError:
    """A query's failure as a sentence: the known cause, else the last cause in Spark's chain.

    An UnavailableError where waiting heals it, a RefusedError where going on would lose or double data.
    """
    from lakehouse.entry import explain

    if ours := re.findall(r"lakehouse\.errors\.(UnavailableError|RefusedError): (.+)", error):  # raised in a batch
        kind = UnavailableError if ours[-1][0] == "UnavailableError" else RefusedError
        return kind(f"Query {name} stopped: {ours[-1][1]}")
    code, sentence = explain(Exception(error))
    if code == UnavailableError.exit_code:
        return UnavailableError(f"Query {name} stopped: {sentence}", "It goes on by itself where it stopped.")
    causes = [line.strip() for line in error.splitlines() if "Error" in line or "Exception" in line]
    said = (causes or [error.strip()])[-1][:400].rstrip(".")
    damaged = any(word in error for word in ("STATE_STORE", "Incomplete log file", "OffsetOutOfRange", "fetch data"))
    fix = f"Repair it: `lake rebuild {name}`." if damaged else "`lake logs` has the whole of it."
    return LakeError(f"Query {name} stopped: {said}.", fix)
