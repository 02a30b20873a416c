"""Broker, producer, Spark's Python and its Java killed and stopped at random, each only after measured progress."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.audit.place import wait_until
from tests.audit.supervised import Platform, batches, platform, progressed

VICTIMS = ("python", "java", "python and java", "broker", "producer")
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
STOPPED_SECONDS = 10.0


def strike(running: Platform, victim: str, number: signal.Signals, seconds: float) -> None:
    """Send the signal to the victim; what was stopped goes on after a while."""
    wait_until(lambda: running.pids(victim), seconds, f"a running {victim}")
    met = running.pids(victim)
    for pid in met:
        os.kill(pid, number)
    if number == signal.SIGSTOP:
        time.sleep(STOPPED_SECONDS)
        for pid in met:
            os.kill(pid, signal.SIGCONT)


def run(folder: Path, seed: int, count: int, seconds: float, say: Callable[[str], None]) -> list[str]:
    """What is wrong after so many strikes, of which each kind is there before any comes twice."""
    rng = random.Random(seed)
    kinds = [(victim, number) for victim in VICTIMS for number in SIGNALS]
    rng.shuffle(kinds)
    with platform(folder, seed, say) as running:
        for victim, number in (kinds * (count // len(kinds) + 1))[:count]:
            before = batches()
            wait_until(lambda: progressed(before), seconds, "progress")  # noqa: B023
            time.sleep(rng.uniform(0, 2))
            say(f"{number.name} to {victim} after batches {batches()}")
            strike(running, victim, number, seconds)
        return running.finish(seconds)
