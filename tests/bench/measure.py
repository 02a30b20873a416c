"""The measurements: each starts what it needs in a folder of its own and stops it again."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from deltalake import DeltaTable

from jobs.houses import produce
from jobs.houses.schema import AVERAGE_UPDATES, AVERAGES, AVERAGES_BATCHES, DOMAIN, SALES
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.kafka import topics
from lakehouse.settings import ROOT, settings
from lakehouse.streaming import checkpoints
from lakehouse.tables import table_io

WARM_UP = 30.0  # seconds until the JVM has compiled what runs all the time


@dataclass
class Site:
    """A running broker with its topics, in a folder of its own."""

    bootstrap_servers: str
    env: dict[str, str]

    def start(self, script: str, *options: str) -> "subprocess.Popen[bytes]":
        """Start a job; its output is thrown away."""
        command = [str(ROOT / "spark-submit.sh"), f"jobs/houses/{script}", *options]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def site(partitions: int = SALES.partitions) -> Iterator[Site]:
    """A broker with topics and data sets, gone afterwards; the topic of sales has so many partitions."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder:
        os.environ["LAKE_VAR"] = f"{folder}/var"
        settings.cache_clear()
        broker = Broker(Path(folder) / "kafka", port=0)
        with (Path(folder) / "kafka.log").open("wb") as log:
            broker.start(log)
        try:
            topics.ensure(broker.bootstrap_servers, [replace(SALES, partitions=partitions), AVERAGE_UPDATES])
            place = Site(broker.bootstrap_servers, {**os.environ, "LAKE_BOOTSTRAP_SERVERS": broker.bootstrap_servers})
            place.start("build_datasets.py", "--load").wait()
            yield place
        finally:
            broker.stop()
            del os.environ["LAKE_VAR"]
            settings.cache_clear()


@contextmanager
def streaming(place: Site) -> Iterator["subprocess.Popen[bytes]"]:
    """The stream, stopped cleanly afterwards."""
    stream = place.start("stream.py")
    try:
        yield stream
    finally:
        stream.send_signal(signal.SIGTERM)
        stream.wait(120)


def committed(query: str) -> int:
    """How many records the query's committed batches have read."""
    plan = checkpoints.last_committed(checkpoints.path(DOMAIN.name, query))
    return sum(plan.ends.values()) if plan else 0


def starts(repeats: int) -> list[float]:
    """Seconds from the start of the stream's process to its first batch of averages, with sales waiting."""
    seconds = []
    for _ in range(repeats):
        with site() as place:
            place.start("produce.py", "--count", "1000", "--rate", "0").wait()
            began = time.monotonic()
            with streaming(place):
                while not committed("averages"):
                    time.sleep(0.02)
                seconds.append(time.monotonic() - began)
    return seconds


def latencies(seconds: float, rate: float = 200) -> tuple[list[float], list[float]]:
    """Seconds from a sale's acknowledgement until its average is visible, in the serving table and on the topic."""
    with site() as place, streaming(place):
        warm = place.start("produce.py", "--rate", str(rate), "--count", str(int(rate * WARM_UP)))
        warm.wait()
        while committed("averages") < rate * WARM_UP:
            time.sleep(0.1)
        stop = threading.Event()
        seen_table: dict[int, float] = {}
        seen_topic: dict[int, float] = {}
        watchers = [
            threading.Thread(target=watch_table, args=(seen_table, stop)),
            threading.Thread(target=watch_topic, args=(place.bootstrap_servers, seen_topic, stop)),
        ]
        for watcher in watchers:
            watcher.start()
        acknowledged = send(place.bootstrap_servers, rate, int(rate * seconds))
        time.sleep(8)
        stop.set()
        for watcher in watchers:
            watcher.join()
        batch_of = batches()
        return waits(acknowledged, batch_of, seen_table), waits(acknowledged, batch_of, seen_topic)


def send(bootstrap_servers: str, rate: float, count: int) -> dict[tuple[int, int], float]:
    """Send sales at a rate; when each (partition, offset) was acknowledged."""
    acknowledged: dict[tuple[int, int], float] = {}
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "acks": "all", "enable.idempotence": True, "linger.ms": 5}
    )
    sales, stamp = produce.draw(produce.read("to-stream"), 1, repeats=True), produce.Stamp()
    began = time.monotonic()

    def report(error: Any, message: Any) -> None:
        assert error is None
        acknowledged[message.partition(), message.offset()] = time.monotonic()

    for number in range(count):
        sale = next(sales)
        producer.produce(SALES.name, stamp.value(sale, number), sale.key, on_delivery=report)
        while (wait := began + (number + 1) / rate - time.monotonic()) > 0:
            producer.poll(wait)
    producer.flush(30)
    return acknowledged


def watch_table(seen: dict[int, float], stop: threading.Event) -> None:
    """When each batch of averages was first visible to a reader of the serving table."""
    delta, version = DeltaTable(AVERAGES.path), -1
    app_id = f"{checkpoints.generation(checkpoints.path(DOMAIN.name, 'averages'))}:{AVERAGES.name}"
    while not stop.is_set():
        delta.update_incremental()
        if delta.version() != version:
            version, batch = delta.version(), delta.transaction_version(app_id)
            if batch is not None:
                seen.setdefault(batch, time.monotonic())
        time.sleep(0.01)


def watch_topic(bootstrap_servers: str, seen: dict[int, float], stop: threading.Event) -> None:
    """When the last update of each batch of averages came from the topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "bench", "enable.auto.commit": False})
    _low, high = consumer.get_watermark_offsets(TopicPartition(AVERAGE_UPDATES.name, 0))
    consumer.assign([TopicPartition(AVERAGE_UPDATES.name, 0, high)])
    while not stop.is_set():
        message = consumer.poll(0.05)
        if message is not None and message.error() is None:
            seen[int(dict(message.headers() or [])["batch_id"])] = time.monotonic()
    consumer.close()


def batches() -> dict[int, list[tuple[int, int, int]]]:
    """Offset ranges of the batch log by partition: (start, end, batch)."""
    ranges: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for row in table_io.read(AVERAGES_BATCHES).to_pylist():
        ranges[row["partition"]].append((row["start_offset"], row["end_offset"], row["batch_id"]))
    return ranges


def waits(
    acknowledged: dict[tuple[int, int], float], ranges: dict[int, list[tuple[int, int, int]]], seen: dict[int, float]
) -> list[float]:
    """For each sale the time until the first sight of its batch or a later one."""
    batch_of = {(p, offset): batch for p, spans in ranges.items() for a, b, batch in spans for offset in range(a, b)}
    known = sorted(seen.items())
    found = []
    for place, at in acknowledged.items():
        batch = batch_of[place]
        visible = next((moment for number, moment in known if number >= batch), None)
        if visible is not None:
            found.append(visible - at)
    return found


def sustained(rate: int, seconds: int) -> dict[str, float]:
    """Both queries while sales come at a rate: lag when the producer ends, and how long until both have read all."""
    with site() as place, streaming(place):
        place.start("produce.py", "--rate", "2000", "--count", str(int(2000 * WARM_UP))).wait()
        before = int(2000 * WARM_UP)
        while min(committed("averages"), committed("history")) < before:
            time.sleep(0.1)
        began = time.monotonic()
        place.start("produce.py", "--rate", str(rate), "--count", str(rate * seconds)).wait()
        ended = time.monotonic()
        total = before + rate * seconds
        lag = total - min(committed("averages"), committed("history"))
        while min(committed("averages"), committed("history")) < total:
            time.sleep(0.05)
        return {
            "sent_per_second": rate * seconds / (ended - began),
            "lag_at_end": lag,
            "drained_after": time.monotonic() - ended,
        }


def memory(seconds: float) -> dict[str, int]:
    """PSS in MB of each process of `lake up houses` after some time, with the demo's producer running."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder:
        env = {**os.environ, "LAKE_VAR": f"{folder}/var", "LAKE_KAFKA_PORT": "0", "LAKE_DASHBOARD_PORT": "0"}
        lake = [str(ROOT / ".venv/bin/lake")]
        up = subprocess.Popen([*lake, "up", "houses"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(seconds)
            found = json.loads(
                subprocess.run([*lake, "status", "--json"], env=env, capture_output=True, check=True).stdout
            )
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(120)
    return {process["name"]: process["memory_mb"] for process in found["processes"]}
