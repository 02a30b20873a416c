"""The production line killed at every point of its batches, and struck at random, PostgreSQL too.

After each strike the stream may settle; then PostgreSQL, Delta and a plain count of the topic must be the same.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.production.schema import DOMAIN
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.embedded.postgres_server import Server
from lakehouse.kafka import topics
from lakehouse.ops.launch import _job
from lakehouse.ops.service import Service
from lakehouse.ops.supervisor import Supervisor
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints
from tests.audit import line_oracle
from tests.audit.place import wait_until
from tests.e2e.running import Platform
from tests.postgres import answers, dsn_of

POINTS = {
    "history": ("before", "appended", "written"),
    "totals": ("before", "counted", "upserted", "logged", "written"),
}
VICTIMS = ("postgres", "java", "python", "broker")
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
STOPPED_SECONDS = 10.0
BUILD = ("--units", "12", "--rate", "0", "--bad-fraction", "0.02")
Say = Callable[[str], None]


@dataclass
class Line:
    """What runs, and the line whose events go in."""

    place: Platform
    supervisor: Supervisor
    services: dict[str, Service]
    seed: int

    def build(self) -> None:
        """Some more units."""
        self.seed += 1
        self.place.run("produce.py", *BUILD, "--seed", str(self.seed))

    def pids(self, victim: str) -> list[int]:
        """Processes that a strike at the victim meets; none while it is not running."""
        service = self.services["stream" if victim in ("java", "python") else victim]
        if service.process is None or service.process.poll() is not None:
            return []
        main = psutil.Process(service.process.pid)
        if victim in ("broker", "postgres"):
            return [main.pid, *(child.pid for child in main.children())]
        java = [child.pid for child in main.children() if child.name() == "java"]
        return java if victim == "java" or not java else [main.pid]


@contextmanager
def running(folder: Path, seed: int, say: Say) -> Iterator[Line]:
    """Broker and PostgreSQL under the platform's own supervisor, which starts again what dies; the stream is known."""
    server = Server(folder / "postgres", port=0)
    dsn = dsn_of(server)
    os.environ |= {"LAKE_VAR": str(folder / "var"), "LAKE_POSTGRES_DSN": dsn}
    settings.cache_clear()
    broker = Broker(folder / "kafka", port=0)
    os.environ["LAKE_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
    settings.cache_clear()
    services = {
        "broker": Service("kafka", broker.command, ready=lambda _: broker.ready(), grace=30),
        "postgres": Service("postgres", server.command, ready=lambda _: answers(dsn), stop_signal=signal.SIGINT),
        "stream": Service("stream", lambda: _job("jobs/production/stream.py")),
    }
    supervisor = Supervisor(say)
    supervisor.handle_signals()
    try:
        for name in ("broker", "postgres"):
            supervisor.start(services[name])
            supervisor.wait(services[name])
        topics.ensure(broker.bootstrap_servers, DOMAIN.topics)
        place = Platform(broker.bootstrap_servers, folder / "var", dict(os.environ), domain=DOMAIN.name)
        yield Line(place, supervisor, services, seed)
    finally:
        supervisor.request_stop()
        supervisor.stop()
        for name in ("LAKE_VAR", "LAKE_POSTGRES_DSN", "LAKE_BOOTSTRAP_SERVERS"):
            os.environ.pop(name)
        settings.cache_clear()


def crash(folder: Path, seed: int, rounds: int, say: Say) -> list[str]:
    """What is wrong after the stream was killed at each point of a batch, as often as there are rounds."""
    points = [(query, point) for query, names in POINTS.items() for point in names] * rounds
    with running(folder, seed, say) as line:
        for query, point in points:
            line.build()
            plan = checkpoints.last_committed(checkpoints.path(DOMAIN.name, query))
            fault = f"{query}.{point}:{plan.batch_id + 1 if plan else 0}"
            line.place.env["LAKE_FAULT"] = fault
            job = line.place.job("stream.py", "--query", query, "--trigger", "available-now")
            _, said = job.communicate(timeout=300)
            del line.place.env["LAKE_FAULT"]
            if job.returncode != -signal.SIGKILL:
                return [f"the run that was to die at {fault} ended with {job.returncode}: {said[-2000:]}"]
            line.place.run("stream.py", "--trigger", "available-now")
            if found := line_oracle.wrong(line.place):
                return [f"after {fault}: {one}" for one in found]
            say(f"killed at {fault}")
    return []


def strike(folder: Path, seed: int, count: int, seconds: float, say: Say) -> list[str]:
    """What is wrong after so many strikes at random while units are built, of which each kind comes once first."""
    rng = random.Random(seed)
    kinds = [(victim, number) for victim in VICTIMS for number in SIGNALS]
    rng.shuffle(kinds)
    with running(folder, seed, say) as line:
        line.supervisor.start(line.services["stream"])
        threading.Thread(target=line.supervisor.run, daemon=True).start()
        for victim, number in (kinds * (count // len(kinds) + 1))[:count]:
            wait_until(lambda: line.pids(victim), seconds, f"a running {victim}")  # noqa: B023
            line.build()
            time.sleep(rng.uniform(0, 2))
            _signal(line.pids(victim), number)
            if victim != "broker":
                line.build()
            began = time.monotonic()
            try:
                wait_until(lambda: not line_oracle.wrong(line.place), seconds, "the same everywhere")
            except AssertionError:
                after = f"{seconds:.0f} s after {number.name} to {victim}"
                return [f"{after}: {one}" for one in line_oracle.wrong(line.place)]
            say(f"{number.name} to {victim}: the same everywhere {time.monotonic() - began:.0f} s later")
    return []


def _signal(pids: list[int], number: signal.Signals) -> None:
    """Send the signal; what was stopped goes on after a while."""
    for pid in pids:
        os.kill(pid, number)
    if number == signal.SIGSTOP:
        threading.Timer(STOPPED_SECONDS, lambda: [os.kill(pid, signal.SIGCONT) for pid in pids]).start()
