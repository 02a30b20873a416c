"""How fast the production line is counted: event to PostgreSQL at a rate, and events a second through all sinks."""

import json
import os
import signal
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer

from jobs.production.plant import LINE
from jobs.production.produce import now
from jobs.production.schema import DOMAIN, EVENTS, TIME
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.kafka import topics
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints
from tests.e2e.running import Platform
from tests.postgres import running_postgres

WARM_UP = 30.0  # seconds until the JVM has compiled what runs all the time


@contextmanager
def site() -> Iterator[Platform]:
    """A broker with the topic and a PostgreSQL, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder, running_postgres(Path(folder) / "pg") as dsn:
        os.environ["LAKE_VAR"] = f"{folder}/var"
        settings.cache_clear()
        broker = Broker(Path(folder) / "kafka", port=0)
        with (Path(folder) / "kafka.log").open("wb") as log:
            broker.start(log)
        try:
            topics.ensure(broker.bootstrap_servers, DOMAIN.topics)
            env = {"LAKE_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "LAKE_POSTGRES_DSN": dsn}
            yield Platform(broker.bootstrap_servers, Path(folder) / "var", {**os.environ, **env}, domain=DOMAIN.name)
        finally:
            broker.stop()
            del os.environ["LAKE_VAR"]
            settings.cache_clear()


@contextmanager
def streaming(place: Platform) -> Iterator[None]:
    """The stream, stopped cleanly afterwards."""
    stream = place.job("stream.py")
    try:
        yield
    finally:
        stream.send_signal(signal.SIGTERM)
        stream.communicate(timeout=120)


KEY = b"unit_collection_point"


def latencies(seconds: float, rate: float = 200) -> list[float]:
    """Seconds from an event's acknowledgement until PostgreSQL counts it; each is a unit of its own."""
    with site() as place, streaming(place):
        acknowledged: list[float] = []
        seen: list[tuple[float, int]] = []
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(place.env["LAKE_POSTGRES_DSN"], seen, stop))
        watcher.start()
        _send(place.bootstrap_servers, rate, int(rate * (WARM_UP + 30 + seconds)), acknowledged)
        until = time.monotonic() + 60
        while (not seen or seen[-1][1] < len(acknowledged)) and time.monotonic() < until:
            time.sleep(0.1)
        stop.set()
        watcher.join()
    steps = iter(seen)
    at, count = next(steps)
    waited = []
    for number, moment in enumerate(sorted(acknowledged), start=1):
        while count < number:
            at, count = next(steps)
        waited.append(at - moment)
    return waited[-int(rate * seconds) :]


def _send(servers: str, rate: float, count: int, acknowledged: list[float]) -> None:
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "linger.ms": 1})
    began = time.monotonic()
    for number in range(count):
        while time.monotonic() - began < number / rate:
            producer.poll(0.002)
        unit = f"N{number:08d}"
        fields = {"qls_unit_id": unit, "collection_point_id": "B10", "zone_id": "BODY", TIME: now()}
        where = zlib.crc32(unit.encode()) % EVENTS.partitions
        told: Any = lambda error, _: acknowledged.append(time.monotonic())  # noqa: E731
        producer.produce(EVENTS.name, json.dumps(fields).encode(), KEY, partition=where, on_delivery=told)
    producer.flush(30)


def _watch(dsn: str, seen: list[tuple[float, int]], stop: threading.Event) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not stop.wait(0.01):
            if not seen and connection.execute("SELECT to_regclass('production.totals')").fetchone() == (None,):
                continue
            found = connection.execute(
                "SELECT coalesce(sum(units), 0)::int FROM production.totals WHERE zone_id = %s", [LINE]
            ).fetchone()
            if found and (not seen or found[0] != seen[-1][1]):
                seen.append((time.monotonic(), found[0]))


def drained(units: int = 18_000) -> dict[str, float]:
    """Events a second through all sinks, of both queries, from the first committed batch on."""
    with site() as place:
        place.run("produce.py", "--units", str(units), "--rate", "0", "--no-pattern", "--seed", "1")
        state = topics.state(place.bootstrap_servers, EVENTS.name)
        total = sum(state.ends.values()) if state else 0
        with streaming(place):
            while not (first := _read()):
                time.sleep(0.05)
            began = time.monotonic()
            while _read() < total:
                time.sleep(0.05)
            seconds = time.monotonic() - began
    return {"events": total - first, "seconds": seconds, "per_second": (total - first) / seconds}


def _read() -> int:
    """How many records the slower query's committed batches have read."""
    plans = [checkpoints.last_committed(checkpoints.path(DOMAIN.name, query)) for query in DOMAIN.queries]
    return min(sum(plan.ends.values()) if plan else 0 for plan in plans)
