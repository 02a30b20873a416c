"""A stop signal leaves the process's signal handlers alone until it is asked to listen."""

import os
import signal
from collections.abc import Iterator

import pytest

from lakehouse.core.stop_signal import StopSignal


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of the test run are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_counts_only_after_listening(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stop = StopSignal()
    assert signal.getsignal(number) is before
    stop.listen()
    os.kill(os.getpid(), number)
    assert stop.requested
