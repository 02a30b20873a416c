"""The processes of an audit: this one, and beside it a helper for each further core when there is enough to do."""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process

from lakehouse.audit.record_checks import PartitionAudit
from lakehouse.audit.slice_check import Checked, Setting, SliceCheck
from lakehouse.errors import LakeError

MOST = 8  # processes; each takes some 300 MB
WORTH_HELPERS = 200_000  # records; a helper needs a second until it is ready
Job = Sequence[PartitionAudit]
Result = tuple[int, list[Checked]]


@contextmanager
def checking(setting: Setting, jobs: Sequence[Job], helpers: int) -> Iterator[Iterator[Result]]:
    """The results of the jobs, each with its number, as they come, from this process and so many helpers.

    Raises LakeError, while results are taken, when a helper was killed.
    """
    own, pool = SliceCheck(setting), None
    try:
        if helpers:
            pool = ProcessPoolExecutor(helpers, get_context("spawn"), initializer=_begin, initargs=(setting,))
        yield _results(deque(enumerate(jobs)), own, pool, 2 * helpers)
    finally:
        own.close()
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def helpers_for(records: int) -> int:
    """How many helpers so many records are worth."""
    return min(os.cpu_count() or 1, MOST) - 1 if records >= WORTH_HELPERS else 0


def _results(
    left: "deque[tuple[int, Job]]", own: SliceCheck, pool: ProcessPoolExecutor | None, most: int
) -> Iterator[Result]:
    """Each helper has a job and one more waiting; while all are busy, this process does one itself."""
    given: deque[tuple[int, Future[list[Checked]]]] = deque()
    while left or given:
        while pool and left and len(given) < most:
            number, job = left.popleft()
            given.append((number, _submit(pool, job)))
        if given and (given[0][1].done() or not left):
            number, future = given.popleft()
            yield number, _result(future)
        elif left:
            number, job = left.popleft()
            yield number, own.check(job)


def _submit(pool: ProcessPoolExecutor, job: Job) -> "Future[list[Checked]]":
    """Give a job to the helpers. A process that starts for it has Ctrl-C blocked: it ends with this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_check, job)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _result(future: "Future[list[Checked]]") -> list[Checked]:
    try:
        return future.result()
    except BrokenProcessPool:
        raise LakeError(
            "The audit was not finished: one of its processes was killed.",
            "Look whether the machine ran out of memory (`dmesg`); the audit can be run again at any time.",
        ) from None


_own: list[SliceCheck] = []  # of a helper


def _begin(setting: Setting) -> None:
    """What a helper does first: it has a lower priority than the streams, and ends when the audit's process does."""
    os.nice(5)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _own.append(SliceCheck(setting))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _check(job: Job) -> list[Checked]:
    return _own[0].check(job)
