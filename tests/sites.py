"""A broker and a lake of one's own, the events that go in, and the stream as a user starts it."""

import os
import random
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from confluent_kafka import Producer

from lakehouse.contract.domain import Domain
from lakehouse.kafka import topics
from lakehouse.kafka.producer import Outgoing
from lakehouse.settings import ROOT, settings
from lakehouse.spark import submit
from lakehouse.streaming import checkpoints
from tests.conftest import running_broker
from tests.e2e.running import Platform
from tests.postgres import running_postgres
from tests.suite import Suite

STEP = timedelta(seconds=5)  # between two events; far less than a lateness: no order of reading makes one late


@dataclass(kw_only=True)
class Site(Platform):
    """A platform, the suite of its domain, and how many events have been sent."""

    suite: Suite
    rng: random.Random
    sent: int = 0
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=6))
    partitions: int = 0

    @classmethod
    def of(cls, suite: Suite, bootstrap_servers: str, var: Path, seed: int) -> "Site":
        """A site whose jobs have the environment of this process."""
        partitions, dice = suite.topic.partitions, random.Random(seed)
        own = {"domain": suite.domain.name, "suite": suite, "rng": dice, "partitions": partitions}
        return cls(bootstrap_servers, var, dict(os.environ), **own)  # type: ignore[arg-type]

    def at(self, number: int) -> datetime:
        """When the event of that number happened."""
        return self.began + number * STEP

    def send(self, count: int, seconds: float = 60) -> None:
        """Send so many further events of the suite."""
        self.produce(self.suite.events(self, count), seconds)
        self.sent += count

    def produce(self, messages: Iterable[Outgoing], seconds: float = 60) -> None:
        """Send the messages. Raises AssertionError when the broker has not acknowledged them in time."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, "acks": "all"})
        for message in messages:
            producer.produce(self.suite.topic.name, message.value, message.key, partition=message.partition)
        assert not producer.flush(seconds), "the broker did not take the events"

    def start(self, script: str, *options: str, fault: str = "") -> "subprocess.Popen[bytes]":
        """Start a job; it dies at the fault, if one is named. Its output goes to the log."""
        command = submit.command(f"jobs/{self.domain}/{script}", *options)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            env = {**self.env, "LAKE_FAULT": fault}
            return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)

    def stream(self, *options: str, fault: str = "", seconds: float = 900) -> int:
        """Run the stream to the end of what is on the topic, or to the fault; its exit code."""
        stream = self.start("stream.py", "--trigger", "available-now", *options, fault=fault)
        try:
            return stream.wait(seconds)
        finally:
            if stream.poll() is None:
                os.killpg(stream.pid, signal.SIGKILL)

    @property
    def log(self) -> Path:
        """What the jobs have written; not under var, whose disk may be full."""
        return self.var.with_name("jobs.log")

    def last_words(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def waiting(self) -> int:
        """How many records of the topic the slowest query's committed batches have not read."""
        ends = topics.end_offsets(self.bootstrap_servers, self.suite.topic.name, range(self.partitions))
        return sum(ends.values()) - read_by_all(self.suite.domain)


def committed_batch(domain: Domain, query: str) -> int:
    """The number of the query's last committed batch; -1 before the first."""
    plan = checkpoints.last_committed(checkpoints.path(domain.name, query))
    return plan.batch_id if plan else -1


def committed(domain: Domain, query: str) -> int:
    """How many records the query's committed batches have read."""
    plan = checkpoints.last_committed(checkpoints.path(domain.name, query))
    return sum(plan.ends.values()) if plan else 0


def read_by_all(domain: Domain) -> int:
    """How many records the committed batches of the slowest query have read."""
    return min(committed(domain, query) for query in domain.queries)


@contextmanager
def in_force(**variables: str) -> Iterator[None]:
    """These environment variables, and the settings that follow from them, in this process."""
    try:
        with patch.dict(os.environ, variables):
            settings.cache_clear()
            yield
    finally:
        settings.cache_clear()


@contextmanager
def site(folder: Path, suite: Suite, seed: int = 1, partitions: int = 0) -> Iterator[Site]:
    """A running broker with the domain's topics, PostgreSQL where it writes to one, and an empty lake, in this process
    too; the topic that is read has the suite's number of partitions, unless another is given.
    """
    with ExitStack() as running:
        var, broker = folder / "var", running.enter_context(running_broker(folder))
        variables = {"LAKE_VAR": str(var), "LAKE_BOOTSTRAP_SERVERS": broker}
        if suite.needs_postgres:
            variables["LAKE_POSTGRES_DSN"] = running.enter_context(running_postgres(folder / "postgres"))
        running.enter_context(in_force(**variables))
        place = Site.of(suite, broker, var, seed)
        place.partitions = partitions or place.partitions
        wanted = replace(suite.topic, partitions=place.partitions)
        topics.ensure(broker, [wanted if topic == suite.topic else topic for topic in suite.domain.topics])
        yield place
