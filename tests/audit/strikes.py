"""Each process killed and stopped at random, only after measured progress; what is wrong is looked for after each."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.audit.supervised import Supervised, supervised
from tests.e2e.running import wait_for
from tests.suite import Suite

VICTIMS = ("python", "java", "python and java", "workers", "broker", "producer")
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
STOPPED_SECONDS = 10.0


def strike(running: Supervised, victim: str, number: signal.Signals, seconds: float) -> None:
    """Send the signal to the victim; what was stopped goes on after a while."""
    wait_for(lambda: running.pids(victim), seconds, f"a running {victim}")
    pids = running.pids(victim)
    for pid in pids:
        os.kill(pid, number)
    if number == signal.SIGSTOP:
        time.sleep(STOPPED_SECONDS)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def run(folder: Path, suite: Suite, seed: int, seconds: float, say: Callable[[str], None]) -> list[str]:
    """What is wrong after each signal was sent to each victim once, in an order drawn from the seed."""
    rng = random.Random(seed)
    victims = (*VICTIMS, "postgres") if suite.needs_postgres else VICTIMS
    kinds = [(victim, number) for victim in victims for number in SIGNALS]
    rng.shuffle(kinds)
    with supervised(folder, suite, seed, say) as running:
        for victim, number in kinds:
            running.await_progress(seconds)
            time.sleep(rng.uniform(0, 2))
            say(f"{number.name} to {victim} after batches {running.batches()}")
            strike(running, victim, number, seconds)
            time.sleep(rng.uniform(0, 2))  # events go on meanwhile
            if wrong := running.settle(seconds):
                return [f"after {number.name} to {victim}: {line}" for line in wrong]
            running.resume()
        return running.finish(seconds)
