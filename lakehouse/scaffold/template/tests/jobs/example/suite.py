"""Events for the suites audit and bench: what is sent, and how long until it is visible."""

import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime

from jobs.example import produce, stream
from jobs.example.schema import DOMAIN, TOTALS, TOTALS_BATCHES
from lakehouse.kafka.producer import Outgoing
from tests import windows
from tests.jobs.example import audit_oracle
from tests.sites import Site
from tests.suite import Suite, View

BAD = (None, b"", b"{", b"\xff\xfe", b'{"id": "a", "quantity": 1.5}', b"[1, 2]")


def message(dice: random.Random, number: int, at: datetime) -> bytes:
    """A valid event, but for its time."""
    event = {"id": dice.choice(produce.IDS), "quantity": dice.randint(1, produce.LARGEST), "event_id": f"e{number}"}
    return json.dumps({**event, "happened_at": at.isoformat()}).encode()


def events(site: Site, count: int) -> Iterator[Outgoing]:
    """Events, every seventh a bad one, one in twenty sent twice."""
    for number in range(site.sent, site.sent + count):
        value = site.rng.choice(BAD) if number % 7 == 3 else message(site.rng, number, site.at(number))
        for _ in range(2 if site.rng.random() < 0.05 else 1):
            yield Outgoing(value, str(number).encode(), number % site.partitions)


def flow() -> Iterator[Outgoing]:
    """Events that happen as they are taken."""
    dice = random.Random(1)
    for number in itertools.count():
        yield Outgoing(message(dice, number, datetime.now(UTC)), str(number).encode())


SUITE = Suite(
    domain=DOMAIN,
    points={"history": ("before", "appended", "written"), "totals": ("before", "upserted", "logged", "written")},
    queries=stream.queries,
    events=events,
    number=audit_oracle.number,
    decode=audit_oracle.decode,
    views_wrong=audit_oracle.wrong,
    flow=flow,
    probes=flow,
    views=(View("table totals", "p95 ≤ 2 s", windows.watch(TOTALS, "totals"), windows.batches(TOTALS_BATCHES)),),
)
