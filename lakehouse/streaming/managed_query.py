"""Keeps a streaming query running: restarts it with growing waits when it fails, at most five times in a row."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse.core.restart_policy import Failure, RestartPolicy, failure_of
from lakehouse.core.run_state import FORMAT
from lakehouse.core.states import QueryState
from lakehouse.errors import LakeError, RefusedError, UnavailableError, last_cause

if TYPE_CHECKING:
    from pyspark.sql.streaming.query import StreamingQuery

log = structlog.get_logger()


class ManagedQuery:
    """A streaming query that is restarted when it fails. `start` may raise RefusedError."""

    def __init__(
        self, name: str, start: Callable[[], "StreamingQuery"], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.stream: StreamingQuery | None = None
        self.state = QueryState.BACKING_OFF
        self.policy = RestartPolicy(clock)
        self.error: LakeError | None = None
        self._start = start
        self._progress: dict[str, Any] = {}

    @property
    def active(self) -> bool:
        """Whether Spark runs it now."""
        return self.stream is not None and self.stream.isActive

    @property
    def ended(self) -> bool:
        """Whether it will not run any more."""
        return self.state in (QueryState.FAILED, QueryState.REFUSED, QueryState.FINISHED)

    def begin(self) -> None:
        """Start it. Raises what `start` raises."""
        self.stream, self.state = self._start(), QueryState.RUNNING
        self.policy.started()

    def again(self) -> None:
        """Start it again at once, for another reason than a failure; if that fails, it is one."""
        try:
            self.begin()
            self.policy.restarts += 1
        except Exception as failure:
            self._failed(start_failed(self.name, failure), str(failure))

    def poll(self) -> bool:
        """Look at the query, and restart it when its wait is over; True if its state has changed."""
        before = self.state
        if self.state is QueryState.BACKING_OFF and self.policy.restart_due():
            self._restart()
        elif self.state is QueryState.RUNNING and self.stream is not None:
            active = self.stream.isActive  # before exception(): a query that fails between the two has not finished
            if error := self.stream.exception():
                self._failed(query_failed(self.name, str(error)), str(error))
            elif not active:
                self.state = QueryState.FINISHED
            else:
                self.policy.runs()
        return self.state is not before

    def _restart(self) -> None:
        try:
            self.begin()
        except Exception as failure:
            self._failed(start_failed(self.name, failure), str(failure))

    def _failed(self, reason: LakeError, error: str) -> None:
        failure = failure_of(reason)
        wait = self.policy.failed(failure)
        failures = self.policy.failures
        if failure is not Failure.REFUSED:
            text = str(reason) if failure is Failure.HEALS else error
            log.error("query failed", query=self.name, failures=failures, error=text)
        if wait is not None:
            self.error, self.state = reason, QueryState.BACKING_OFF
            log.warning("query will be restarted", query=self.name, in_seconds=wait, reason=str(reason))
            return
        if failure is Failure.OWN:
            reason = LakeError(f"{reason.what} It failed {failures} times in a row.", reason.fix)
        self.error, self.state = reason, QueryState.REFUSED if failure is Failure.REFUSED else QueryState.FAILED
        log.error("query will not be restarted", query=self.name, error=str(reason))

    def progress(self) -> dict[str, Any]:
        """Spark's last progress, with `state`, `restarts`, `last_error`, and `error` while it does not run."""
        last = self.stream.lastProgress if self.stream is not None else None
        if last is not None:
            self._progress = json.loads(last.json)
        last_error = str(self.error) if self.error else ""
        error = "" if self.state in (QueryState.RUNNING, QueryState.FINISHED) else last_error
        ours = {"state": self.state, "restarts": self.policy.restarts, "error": error, "last_error": last_error}
        return {**self._progress, **ours, "written_at": datetime.now(UTC).isoformat(), "format": FORMAT}


def start_failed(name: str, failure: Exception) -> LakeError:
    """Why a query could not be started: a LakeError as it is, anything else as if the query had failed later."""
    return failure if isinstance(failure, LakeError) else query_failed(name, str(failure))


def query_failed(name: str, error: str) -> LakeError:
    """A query's failure as a sentence: the known cause, else the last cause in Spark's chain.

    It is an UnavailableError where waiting heals it, a RefusedError where going on would lose or double data.
    """
    from lakehouse.entry import explain

    if ours := re.findall(r"lakehouse\.errors\.(UnavailableError|RefusedError): (.+)", error):  # raised in a batch
        kind = UnavailableError if ours[-1][0] == "UnavailableError" else RefusedError
        return kind(f"Query {name} stopped: {ours[-1][1]}")
    code, sentence = explain(Exception(error))
    if code == UnavailableError.exit_code:
        return UnavailableError(f"Query {name} stopped: {sentence}", "It goes on by itself where it stopped.")
    damaged = any(word in error for word in ("STATE_STORE", "Incomplete log file", "OffsetOutOfRange", "fetch data"))
    fix = f"Repair it: `lake rebuild {name}`." if damaged else "`lake logs` shows the whole error."
    return LakeError(f"Query {name} stopped: {last_cause(error)}.", fix)
