"""Broker, producer, Spark's Python and its Java killed and stopped at random, each only after measured progress."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.houses.schema import DOMAIN
from lakehouse import checkpoints, topics
from lakehouse.broker import Broker
from lakehouse.settings import settings
from lakehouse.supervisor import Service, Supervisor
from tests.audit import disk, oracle
from tests.audit.place import Site, wait_until

VICTIMS = ("python", "java", "python and java", "broker", "producer")
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
STOPPED_SECONDS = 10.0
RATE = 10.0  # sales per second
SALES = 4000


@dataclass
class Platform:
    """What runs, each under the platform's own supervisor."""

    broker: Service
    stream: Service
    producer: Service

    def pids(self, victim: str) -> list[int]:
        """Processes that a strike at the victim meets; none while it is not running."""
        if victim in ("broker", "producer"):
            service = self.broker if victim == "broker" else self.producer
            return [service.process.pid] if service.process and service.process.poll() is None else []
        if not self.stream.process or self.stream.process.poll() is not None:
            return []
        python = psutil.Process(self.stream.process.pid)
        java = [child.pid for child in python.children() if child.name() == "java"]
        return {"python": [python.pid] if java else [], "java": java, "python and java": [*java, python.pid]}[victim]


@contextmanager
def platform(folder: Path, seed: int, say: Callable[[str], None]) -> Iterator[tuple[Platform, Site]]:
    """Broker, producer and stream under a supervisor, which starts again what dies."""
    os.environ["LAKE_VAR"] = str(folder / "var")
    settings.cache_clear()
    broker = Broker(folder / "kafka", port=0)
    os.environ["LAKE_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
    site = Site(broker.bootstrap_servers, folder / "var", random.Random(seed))
    noted = folder / "sent"
    noted.with_suffix(".began").write_text(str(site.began.timestamp()))
    sends = ["-m", "tests.audit.send", broker.bootstrap_servers, str(noted), str(seed), str(SALES), str(RATE)]
    streams = ["-m", "lakehouse.submit", "jobs/houses/stream.py", "--trigger", "1 seconds"]
    running = Platform(
        Service("kafka", broker.command, ready=lambda _: broker.ready(), grace=30),
        Service("stream", lambda: [sys.executable, *streams]),
        Service("producer", lambda: [sys.executable, *sends], once=True, grace=5),
    )
    supervisor = Supervisor(say, {})
    try:
        supervisor.start(running.broker)
        supervisor.wait(running.broker)
        topics.ensure(broker.bootstrap_servers, DOMAIN.topics)
        supervisor.start(running.stream)
        supervisor.start(running.producer)
        threading.Thread(target=supervisor.run, daemon=True).start()
        yield running, site
    finally:
        supervisor._asked_to_stop()
        supervisor.stop()
        for name in ("LAKE_VAR", "LAKE_BOOTSTRAP_SERVERS"):
            os.environ.pop(name)
        settings.cache_clear()


def batches() -> list[int]:
    """The last committed batch of each query."""
    plans = [checkpoints.last_committed(checkpoints.path("houses", query)) for query in DOMAIN.queries]
    return [plan.batch_id if plan else -1 for plan in plans]


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
    with platform(folder, seed, say) as (running, site):
        for victim, number in (kinds * (count // len(kinds) + 1))[:count]:
            before = batches()
            wait_until(lambda: all(now >= then + 2 for now, then in zip(batches(), before)), seconds, "progress")  # noqa: B023, B905
            time.sleep(rng.uniform(0, 2))
            say(f"{number.name} to {victim} after batches {batches()}")
            strike(running, victim, number, seconds)
        wait_until(lambda: running.producer.state == "finished", seconds + SALES / RATE, "the producer's end")
        wait_until(lambda: disk.read_all(site), seconds, "reading all of it")
        assert running.stream.process
        running.stream.once = True  # it is asked to end, not to be started again
        running.stream.process.send_signal(signal.SIGTERM)
        wait_until(lambda: running.stream.state != "running", seconds, "the stream's end")
        return oracle.check(site)
