"""When something that failed is restarted, and when it is not: the same rule for processes and streaming queries."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from lakehouse.errors import RefusedError, UnavailableError

MAX_FAILURES = 5  # in a row; then it is not restarted
STABLE_SECONDS = 60.0  # after a run of that length, counting starts again
LONGEST = 30.0


class Failure(Enum):
    """The kinds of failure, by what a restart can do."""

    OWN = auto()  # restarted, but not for ever
    HEALS = auto()  # waiting heals it: a full disk, a broker that does not answer; restarted for ever
    REFUSED = auto()  # the same start would be refused again; not restarted


def failure_of(error: BaseException) -> Failure:
    """The kind of failure that an error is."""
    if isinstance(error, RefusedError):
        return Failure.REFUSED
    return Failure.HEALS if isinstance(error, UnavailableError | OSError) else Failure.OWN


def wait_after(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 1, 2, 4, 8, … at most 30."""
    return min(LONGEST, 2.0 ** min(failures - 1, 10))  # after a night of failures the power would overflow


@dataclass
class RestartPolicy:
    """Counts failures and decides about restarts. It starts nothing itself."""

    clock: Callable[[], float] = time.monotonic
    failures: int = 0  # in a row, without those that waiting heals
    tries: int = 0  # failures in a row, with those
    restarts: int = 0
    _started_at: float = 0.0
    _due_at: float = 0.0

    def started(self) -> None:
        """It has been started."""
        self._started_at = self.clock()

    def runs(self) -> None:
        """It runs. After a stable time its earlier failures do not count any more."""
        if self.tries and self.clock() - self._started_at > STABLE_SECONDS:
            self.failures = self.tries = 0

    def failed(self, failure: Failure) -> float | None:
        """It has failed: seconds until it is to be restarted, or None when it is not."""
        self.tries += 1
        self.failures += failure is not Failure.HEALS
        if failure is Failure.REFUSED or (failure is Failure.OWN and self.failures >= MAX_FAILURES):
            return None
        wait = wait_after(self.tries)
        self._due_at = self.clock() + wait
        return wait

    def forget(self) -> None:
        """Its cause was removed: earlier failures do not count, and it is to be restarted now."""
        self.failures = self.tries = 0
        self._due_at = self.clock()

    def restart_due(self) -> bool:
        """Whether the wait is over; if so, a restart is counted."""
        due = self.clock() >= self._due_at
        self.restarts += due
        return due
