"""Broker, stream, producer and PostgreSQL, each under the platform's own supervisor, which starts again what dies."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import KafkaException

from lakehouse.embedded.kafka_broker import Broker
from lakehouse.embedded.postgres_server import Server
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.ops.service import Service
from lakehouse.ops.supervisor import Supervisor
from lakehouse.spark import submit
from tests.audit import oracle
from tests.audit.looks import python_workers
from tests.e2e.running import wait_for
from tests.postgres import answers, dsn_of
from tests.sites import Site, committed_batch, in_force
from tests.suite import Suite

RATE = 10.0  # events per second


@dataclass
class Supervised:
    """What runs, and the events that go in."""

    site: Site
    noted: Path  # how many events the broker has acknowledged
    services: dict[str, Service]

    def pids(self, victim: str) -> list[int]:
        """Processes that a strike at the victim meets; none while it is not running."""
        service = self.services[victim if victim in self.services else "stream"]
        if service.process is None or service.process.poll() is not None:
            return []
        main = psutil.Process(service.process.pid)
        java = [child.pid for child in main.children() if child.name() == "java"]
        if service is self.services["stream"]:
            workers = [worker for pid in java for worker in python_workers(pid)]
            known = {"python": [main.pid] if java else [], "java": java, "workers": workers}
            return known.get(victim, [*java, main.pid])
        return [main.pid, *(child.pid for child in main.children())]

    def batches(self) -> list[int]:
        """The last committed batch of each query."""
        return [committed_batch(self.site.suite.domain, query) for query in self.site.suite.domain.queries]

    def await_progress(self, seconds: float, what: str = "progress") -> None:
        """Wait until each query has committed two more batches."""
        before = self.batches()
        then = [batch + 2 for batch in before]
        wait_for(lambda: all(now >= at for now, at in zip(self.batches(), then, strict=True)), seconds, what)

    def settle(self, seconds: float) -> list[str]:
        """Stop the producer; what is wrong once the stream has read everything, or so many seconds later."""
        producer = self.services["producer"]
        self.noted.with_suffix(".stop").touch()
        wait_for(lambda: producer.state == "finished", seconds, "the producer's end")
        self.site.sent = int(self.noted.read_text())
        wait_for(self.has_read_all, seconds, "reading all of it")
        try:
            wait_for(lambda: not oracle.check(self.site), seconds, "")
        except AssertionError:
            return [f"{seconds:.0f} s later {line}" for line in oracle.check(self.site)]
        return []

    def has_read_all(self) -> bool:
        """Whether all queries have committed everything that is on the topic."""
        try:
            return self.site.waiting() == 0
        except (KafkaException, LakeError):  # the broker is being started again
            return False

    def resume(self) -> None:
        """Have the producer go on."""
        self.noted.with_suffix(".stop").unlink()
        self.services["producer"].start()

    def finish(self, seconds: float) -> list[str]:
        """What is wrong once the producer has been stopped, and the stream has read everything and was stopped too."""
        if wrong := self.settle(seconds):
            return wrong
        stream = self.services["stream"]
        assert stream.process
        stream.once = True  # it is asked to end, not to be started again
        stream.process.send_signal(signal.SIGTERM)
        wait_for(lambda: stream.state != "running", seconds, "the stream's end")
        return oracle.check(self.site)


@contextmanager
def supervised(folder: Path, suite: Suite, seed: int, say: Callable[[str], None]) -> Iterator[Supervised]:
    """The platform in that folder, its broker's files in `kafka`, PostgreSQL's in `postgres`, all others in `var`."""
    broker, server = Broker(folder / "kafka", port=0), Server(folder / "postgres", port=0)
    variables = {"LAKE_VAR": str(folder / "var"), "LAKE_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
    if suite.needs_postgres:
        variables["LAKE_POSTGRES_DSN"] = dsn_of(server)
    with in_force(**variables):
        site, noted = Site.of(suite, broker.bootstrap_servers, folder / "var", seed), folder / "sent"
        noted.with_suffix(".began").write_text(str(site.began.timestamp()))
        sends = ["-m", "tests.audit.send", site.domain, site.bootstrap_servers, str(noted), str(seed), str(RATE)]
        streams = submit.command(f"jobs/{site.domain}/stream.py", "--trigger", "1 seconds")
        services = {"broker": Service("kafka", broker.command, ready=lambda _: broker.ready(), grace=30)}
        if suite.needs_postgres:
            ready = lambda _: answers(dsn_of(server))  # noqa: E731
            services["postgres"] = Service("postgres", server.command, ready=ready, stop_signal=signal.SIGINT)
        supervisor = Supervisor(say)
        supervisor.handle_signals()
        try:
            for service in services.values():
                supervisor.start(service)
                supervisor.wait(service)
            topics.ensure(broker.bootstrap_servers, suite.domain.topics)
            services["stream"] = Service("stream", lambda: streams)
            services["producer"] = Service("producer", lambda: [sys.executable, *sends], once=True, grace=5)
            for name in ("stream", "producer"):
                supervisor.start(services[name])
            threading.Thread(target=supervisor.run, daemon=True).start()
            yield Supervised(site, noted, services)
        finally:
            supervisor.request_stop()
            supervisor.stop()
