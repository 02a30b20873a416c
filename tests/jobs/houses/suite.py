"""Sales for the suites audit and bench: what is sent, and how long until it is visible."""

import json
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count as numbers

from confluent_kafka import Consumer, TopicPartition

from jobs.houses import produce, stream
from jobs.houses.schema import AVERAGE_UPDATES, AVERAGES, AVERAGES_BATCHES, DOMAIN, LATENESS, WINDOW
from lakehouse.kafka.producer import Outgoing
from lakehouse.streaming.query import Query
from tests import windows
from tests.jobs.houses import audit_oracle
from tests.sites import Site
from tests.suite import Suite, View

BAD = (None, b"", b"{", b"\xff\xfe", b'{"price": NaN}', b'{"id": "1", "price": -5}', b"[1, 2]")
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)


def queries(bootstrap_servers: str) -> list[Query]:
    return stream.build(tuple(stream.QueryName), bootstrap_servers, window=WINDOW, slide=None, lateness=LATENESS)


def events(site: Site, count: int) -> Iterator[Outgoing]:
    """Sales, every seventh a bad event, one in twenty sent twice; beside the tenth, one dated 2099."""
    for number in range(site.sent, site.sent + count):
        value = site.rng.choice(BAD) if number % 7 == 3 else sale(site.rng, number, site.at(number))
        for _ in range(2 if site.rng.random() < 0.05 else 1):
            yield Outgoing(value, str(number).encode(), number % site.partitions)
        if number == 10:
            yield Outgoing(sale(site.rng, number, FUTURE), b"future", 0)


def sale(dice: random.Random, number: int, sold_at: datetime) -> bytes:
    """A valid sale, but for its time."""
    whole = {"bedrooms": 3, "sqft_living": 1500, "sqft_lot": 4000, "waterfront": 0, "view": 1}
    price, built = dice.randint(50_000, 2_000_000) + 0.25, 1900 + dice.randrange(0, 100)
    other = {"bathrooms": 1.5, "floors": 2.0, "yr_built": built, "event_id": f"e{number}"}
    event = {"id": str(number), "price": price, "sold_at": sold_at.isoformat(), **whole, **other}
    return json.dumps(event).encode()


def flow() -> Iterator[Outgoing]:
    """Sales drawn from the real file, sold as they are taken."""
    sales, stamp = produce.draw(produce.read("to-stream"), 1, repeats=True), produce.Stamp()
    for number, drawn in zip(numbers(), sales, strict=False):
        yield Outgoing(stamp.value(drawn, number), str(drawn.id).encode())


def watch_topic(site: Site, seen: dict[int, float], stop: threading.Event) -> None:
    """When the last update of each batch of averages came from the topic."""
    options = {"bootstrap.servers": site.bootstrap_servers, "group.id": "bench", "enable.auto.commit": False}
    consumer = Consumer(options)
    _low, high = consumer.get_watermark_offsets(TopicPartition(AVERAGE_UPDATES.name, 0))
    consumer.assign([TopicPartition(AVERAGE_UPDATES.name, 0, high)])
    while not stop.is_set():
        message = consumer.poll(0.05)
        if message is not None and message.error() is None:
            seen[int(dict(message.headers() or [])["batch_id"])] = time.monotonic()
    consumer.close()


BATCHES = windows.batches(AVERAGES_BATCHES)
SUITE = Suite(
    domain=DOMAIN,
    points={"history": ("before", "appended", "written"), "averages": ("before", "upserted", "logged", "written")},
    queries=queries,
    events=events,
    number=audit_oracle.number,
    decode=audit_oracle.decode,
    views_wrong=audit_oracle.wrong,
    flow=flow,
    probes=flow,
    views=(
        View("table averages", "p50 ≤ 0.5 s, p95 ≤ 0.9 s", windows.watch(AVERAGES, "averages"), BATCHES),
        View(f"topic {AVERAGE_UPDATES.name}", "p50 ≤ 0.4 s, p95 ≤ 0.7 s", watch_topic, BATCHES),
    ),
)
