"""A broker and a lake of one's own, the sales that go in, and the stream as a user starts it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka import Producer

from jobs.houses.schema import DOMAIN, SALES
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.kafka import topics
from lakehouse.settings import ROOT, settings

PARTITIONS = SALES.partitions
STEP = timedelta(seconds=5)  # between two sales; far less than the lateness, so that no order of reading makes one late
BAD = (None, b"", b"{", b"\xff\xfe", b'{"price": NaN}', b'{"id": "1", "price": -5}', b"[1, 2]")


@dataclass
class Site:
    """Where a broker is, where the lake is, and how many sales have been sent."""

    bootstrap_servers: str
    var: Path
    rng: random.Random
    sent: int = 0
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=6))

    def send(self, count: int, future: int = 0, seconds: float = 60) -> None:
        """Send sales, every seventh a bad event, one in twenty sent twice, and `future` ones dated 2099."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, "acks": "all"})
        for number in range(self.sent, self.sent + count):
            value = self.rng.choice(BAD) if number % 7 == 3 else self.sale(number, self.began + number * STEP)
            for _ in range(2 if self.rng.random() < 0.05 else 1):
                producer.produce(SALES.name, value, str(number).encode(), partition=number % PARTITIONS)
        for number in range(future):
            value = self.sale(-1 - number, datetime(2099, 1, 1, tzinfo=UTC))
            producer.produce(SALES.name, value, b"future", partition=number % PARTITIONS)
        if producer.flush(seconds):
            raise AssertionError("the broker did not take the sales")
        self.sent += count

    def sale(self, number: int, sold_at: datetime) -> bytes:
        """A valid sale, but for its time."""
        whole = {"bedrooms": 3, "sqft_living": 1500, "sqft_lot": 4000, "waterfront": 0, "view": 1}
        price, built = self.rng.randint(50_000, 2_000_000) + 0.25, 1900 + self.rng.randrange(0, 100)
        other = {"bathrooms": 1.5, "floors": 2.0, "yr_built": built, "event_id": f"e{number}"}
        event = {"id": str(abs(number)), "price": price, "sold_at": sold_at.isoformat(), **whole, **other}
        return json.dumps(event).encode()

    def start(self, *options: str, script: str = "jobs/houses/stream.py", fault: str = "") -> "subprocess.Popen[bytes]":
        """Start the stream; it dies at the fault, if one is named. Its output goes to var/stream.log."""
        command = [sys.executable, "-m", "lakehouse.spark.submit", script, *options]
        place = {"LAKE_VAR": str(self.var), "LAKE_BOOTSTRAP_SERVERS": self.bootstrap_servers, "LAKE_FAULT": fault}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **place}, stdout=log, stderr=log, start_new_session=True
            )

    def run(self, *options: str, script: str = "jobs/houses/stream.py", fault: str = "", seconds: float = 900) -> int:
        """Run the stream to the end of what is on the topic, or to the fault; its exit code."""
        stream = self.start("--trigger", "available-now", *options, script=script, fault=fault)
        try:
            code = stream.wait(seconds)
        finally:
            if stream.poll() is None:
                os.killpg(stream.pid, signal.SIGKILL)
        return code

    @property
    def log(self) -> Path:
        """What the streams said; not under var, whose disk may be full."""
        return self.var.with_name("stream.log")

    def last_words(self) -> str:
        """The end of what the streams said."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@contextmanager
def site(folder: Path, seed: int) -> Iterator[Site]:
    """A running broker with the domain's topics, and an empty lake that is this process's, too."""
    before = os.environ.get("LAKE_VAR")
    os.environ["LAKE_VAR"] = str(folder / "var")
    settings.cache_clear()
    broker = Broker(folder / "kafka", port=0)
    with (folder / "kafka.log").open("wb") as log:
        broker.start(log)
    try:
        topics.ensure(broker.bootstrap_servers, DOMAIN.topics)
        yield Site(broker.bootstrap_servers, folder / "var", random.Random(seed))
    finally:
        broker.stop()
        os.environ.pop("LAKE_VAR")
        if before is not None:
            os.environ["LAKE_VAR"] = before
        settings.cache_clear()


def wait_until(condition: object, seconds: float, what: str) -> None:
    """Poll until it holds."""
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.1)
