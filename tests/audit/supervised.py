"""Broker, stream and producer, each under the platform's own supervisor, which starts again what dies."""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.houses.schema import DOMAIN, SALES
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.kafka import topics
from lakehouse.ops.service import Service
from lakehouse.ops.supervisor import Supervisor
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints
from tests.audit import oracle
from tests.audit.place import Site, wait_until

RATE = 10.0  # sales per second


@dataclass
class Platform:
    """What runs, and the sales that go in."""

    site: Site
    noted: Path  # how many sales the broker has acknowledged
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

    def finish(self, seconds: float) -> list[str]:
        """What is wrong once the producer has been stopped, and the stream has read everything and was stopped too."""
        self.noted.with_suffix(".stop").touch()
        wait_until(lambda: self.producer.state == "finished", seconds, "the producer's end")
        wait_until(lambda: read_all(self.site), seconds, "reading all of it")
        assert self.stream.process
        self.stream.once = True  # it is asked to end, not to be started again
        self.stream.process.send_signal(signal.SIGTERM)
        wait_until(lambda: self.stream.state != "running", seconds, "the stream's end")
        self.site.sent = int(self.noted.read_text())
        return oracle.check(self.site)


@contextmanager
def platform(folder: Path, seed: int, say: Callable[[str], None]) -> Iterator[Platform]:
    """The platform in that folder, with its broker's files in `kafka` and all other ones in `var`."""
    os.environ["LAKE_VAR"] = str(folder / "var")
    settings.cache_clear()
    broker = Broker(folder / "kafka", port=0)
    os.environ["LAKE_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
    site, noted = Site(broker.bootstrap_servers, folder / "var", random.Random(seed)), folder / "sent"
    noted.with_suffix(".began").write_text(str(site.began.timestamp()))
    sends = ["-m", "tests.audit.send", broker.bootstrap_servers, str(noted), str(seed), str(RATE)]
    streams = ["-m", "lakehouse.spark.submit", "jobs/houses/stream.py", "--trigger", "1 seconds"]
    running = Platform(
        site,
        noted,
        Service("kafka", broker.command, ready=lambda _: broker.ready(), grace=30),
        Service("stream", lambda: [sys.executable, *streams]),
        Service("producer", lambda: [sys.executable, *sends], once=True, grace=5),
    )
    supervisor = Supervisor(say)
    supervisor.handle_signals()
    try:
        supervisor.start(running.broker)
        supervisor.wait(running.broker)
        topics.ensure(broker.bootstrap_servers, DOMAIN.topics)
        supervisor.start(running.stream)
        supervisor.start(running.producer)
        threading.Thread(target=supervisor.run, daemon=True).start()
        yield running
    finally:
        supervisor.request_stop()
        supervisor.stop()
        for name in ("LAKE_VAR", "LAKE_BOOTSTRAP_SERVERS"):
            os.environ.pop(name)
        settings.cache_clear()


def batches() -> list[int]:
    """The last committed batch of each query."""
    plans = [checkpoints.last_committed(checkpoints.path("houses", query)) for query in DOMAIN.queries]
    return [plan.batch_id if plan else -1 for plan in plans]


def progressed(since: list[int], count: int = 2) -> bool:
    """Whether each query has committed so many batches since."""
    return all(now >= then + count for now, then in zip(batches(), since, strict=True))


def read_all(site: Site) -> bool:
    """Whether both queries have committed everything that is on the topic."""
    ends = topics.end_offsets(site.bootstrap_servers, SALES.name, range(SALES.partitions))
    plans = [checkpoints.last_committed(checkpoints.path("houses", query)) for query in DOMAIN.queries]
    return all(plan is not None and sum(plan.ends.values()) == sum(ends.values()) for plan in plans)
