"""Python workers, which decode events, killed and stopped in the middle of batches: nothing is lost or doubled."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.audit import oracle
from tests.audit.looks import python_workers
from tests.sites import Site
from tests.waiting import wait_for

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("calm")]
STOPPED_SECONDS = 2.0
HUNG = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"  # of a session; the platform sets Spark's own for all
FEW = 20  # records in a batch


@contextmanager
def struck(java: int, number: signal.Signals, times: int, goes_on: bool = True) -> Iterator[list[int]]:
    """Send the signal to the workers that there are, so often; yields those that were met.

    What was stopped goes on after STOPPED_SECONDS, or never.
    """
    met: list[int] = []
    ended = threading.Event()

    def strike() -> None:
        for _ in range(times):
            pids = wait_for(lambda: ended.is_set() or [pid for pid in python_workers(java) if pid not in met])
            if ended.is_set():
                return
            time.sleep(0.1)
            _send(pids, number)
            met.extend(pids)
            if number == signal.SIGSTOP and goes_on:
                time.sleep(STOPPED_SECONDS)
                _send(pids, signal.SIGCONT)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield met
    finally:
        ended.set()
        thread.join()


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_workers_that_are_killed_or_stopped_lose_nothing(
    spark: Any, site: Site, run: Callable[..., None], number: signal.Signals
) -> None:
    java = spark.sparkContext._gateway.proc.pid
    for pid in python_workers(java):
        os.kill(pid, signal.SIGKILL)  # idle ones of another test
    with struck(java, number, times=3) as met:
        run(most=FEW)
    assert met
    assert oracle.check(site) == []


def test_a_worker_that_hangs_for_good_is_killed_and_its_batch_read_again(
    spark: Any, site: Site, run: Callable[..., None]
) -> None:
    java = spark.sparkContext._gateway.proc.pid
    assert spark.sparkContext.getConf().get("spark.python.worker.killOnIdleTimeout") == "true"
    for pid in python_workers(java):
        os.kill(pid, signal.SIGKILL)
    spark.conf.set(HUNG, 3)
    try:
        with struck(java, signal.SIGSTOP, times=1, goes_on=False) as met:
            run(most=FEW)
    finally:
        spark.conf.unset(HUNG)
    assert met
    assert not set(met) & set(python_workers(java))
    assert oracle.check(site) == []
