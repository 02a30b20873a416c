"""The measurements: each starts what it needs in a folder of its own and stops it again."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from lakehouse.kafka.producer import Outgoing
from lakehouse.settings import ROOT
from tests import sites, suite
from tests.sites import Site, committed, read_by_all
from tests.suite import Place, Suite

WARM_UP = 30.0  # seconds until the JVM has compiled what runs all the time
HOUSES = suite.load("houses")


@contextmanager
def site(of: Suite = HOUSES, partitions: int = 0) -> Iterator[Site]:
    """A broker with topics and data sets, gone afterwards; the topic that is read has so many partitions."""
    with (
        tempfile.TemporaryDirectory(prefix="lake-bench-") as folder,
        sites.site(Path(folder), of, 1, partitions) as place,
    ):
        for job in of.domain.prepare:
            place.start(job.script, *job.arguments).wait()
        yield place


@contextmanager
def streaming(place: Site) -> Iterator["subprocess.Popen[bytes]"]:
    """The stream, stopped cleanly afterwards."""
    stream = place.start("stream.py")
    try:
        yield stream
    finally:
        stream.send_signal(signal.SIGTERM)
        stream.wait(120)


def starts(repeats: int) -> list[float]:
    """Seconds from the start of the stream's process to its first batch of averages, with sales waiting."""
    seconds = []
    for _ in range(repeats):
        with site() as place:
            place.start("produce.py", "--count", "1000", "--rate", "0").wait()
            began = time.monotonic()
            with streaming(place):
                while not committed(HOUSES.domain, "averages"):
                    time.sleep(0.02)
                seconds.append(time.monotonic() - began)
    return seconds


def latencies(of: Suite, seconds: float, rate: float = 200) -> dict[str, list[float]]:
    """Seconds from an event's acknowledgement until it is visible, by the name of the view."""
    with site(of) as place, streaming(place):
        probes = of.probes()
        send(place, islice(probes, int(rate * WARM_UP)), rate)
        while read_by_all(of.domain) < rate * WARM_UP:
            time.sleep(0.1)
        stop, seen = threading.Event(), {view.name: dict[int, float]() for view in of.views}
        watchers = [threading.Thread(target=view.watch, args=(place, seen[view.name], stop)) for view in of.views]
        for watcher in watchers:
            watcher.start()
        acknowledged = send(place, islice(probes, int(rate * seconds)), rate)
        while read_by_all(of.domain) < place.sent:
            time.sleep(0.1)
        time.sleep(8)
        stop.set()
        for watcher in watchers:
            watcher.join()
        return {
            view.name: waits(acknowledged, view.steps(place, [*acknowledged]), seen[view.name]) for view in of.views
        }


def send(place: Site, events: Iterable[Outgoing], rate: float) -> dict[Place, float]:
    """Send events at a rate; when each record was acknowledged, in the order of acknowledgement."""
    acknowledged: dict[Place, float] = {}
    options = {"acks": "all", "enable.idempotence": True, "linger.ms": 5}
    producer = Producer({"bootstrap.servers": place.bootstrap_servers, **options})
    began = time.monotonic()

    def report(error: Any, message: Any) -> None:
        assert error is None
        acknowledged[message.partition(), message.offset()] = time.monotonic()

    for number, event in enumerate(events, start=1):
        producer.produce(place.suite.topic.name, event.value, event.key, event.partition, on_delivery=report)
        while (wait := began + number / rate - time.monotonic()) > 0:
            producer.poll(wait)
    producer.flush(30)
    place.sent += len(acknowledged)
    return acknowledged


def waits(acknowledged: Mapping[Place, float], steps: Iterable[int], seen: Mapping[int, float]) -> list[float]:
    """For each record the time until the first sight of its step or a later one; those that were not seen left out."""
    known = sorted(seen.items())
    found = []
    for at, step in zip(acknowledged.values(), steps, strict=True):
        place = bisect_left(known, (step,))
        if place < len(known):
            found.append(known[place][1] - at)
    return found


def fill(place: Site, count: int) -> None:
    """Send so many events of the suite's flow, as fast as one process can."""
    options = {"bootstrap.servers": place.bootstrap_servers, "linger.ms": 50, "compression.type": "lz4"}
    producer = Producer({**options, "queue.buffering.max.messages": 1_000_000, "batch.size": 500_000})
    for number, event in enumerate(islice(place.suite.flow(), count)):
        while True:
            try:
                producer.produce(place.suite.topic.name, event.value, event.key, event.partition)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0


def drained(of: Suite, events: int) -> dict[str, float]:
    """Events a second through all sinks, of all queries at once, from the first committed batch on."""
    with site(of) as place:
        fill(place, events)
        with streaming(place):
            while not (first := read_by_all(of.domain)):
                time.sleep(0.05)
            began = time.monotonic()
            while read_by_all(of.domain) < events:
                time.sleep(0.05)
            seconds = time.monotonic() - began
    return {"events": events - first, "seconds": seconds, "per_second": (events - first) / seconds}


def sustained(rate: int, seconds: int) -> dict[str, float]:
    """Both queries while sales come at a rate: lag when the producer ends, and how long until both have read all."""
    with site() as place, streaming(place):
        place.start("produce.py", "--rate", "2000", "--count", str(int(2000 * WARM_UP))).wait()
        before = int(2000 * WARM_UP)
        while read_by_all(HOUSES.domain) < before:
            time.sleep(0.1)
        began = time.monotonic()
        place.start("produce.py", "--rate", str(rate), "--count", str(rate * seconds)).wait()
        ended = time.monotonic()
        total = before + rate * seconds
        lag = total - read_by_all(HOUSES.domain)
        while read_by_all(HOUSES.domain) < total:
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
