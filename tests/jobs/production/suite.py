"""Units on a line for the suites audit and bench: what is sent, and how long until PostgreSQL counts it."""

import json
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import count as numbers
from random import Random
from typing import Any

import psycopg

from jobs.production import produce, stream
from jobs.production.events import TIME
from jobs.production.plant import LINE, plant
from jobs.production.schema import DOMAIN, EVENTS
from jobs.production.versions import settle
from lakehouse.kafka.producer import Outgoing
from lakehouse.streaming.query import Query
from tests.jobs.production import audit_oracle
from tests.sites import Site
from tests.suite import Place, Suite, View

PASS, DEFECT, UNKNOWN = "unit_collection_point", "unit_defect", "unit_elsewhere"
STOPS = [(zone, point) for zone, points in plant().zones.items() for point in points]
ON_THE_LINE = 4  # units between which the events alternate, each in another partition
LATE = timedelta(minutes=20)
WRONG: tuple[dict[str, Any], ...] = ({"qls_unit_id": None}, {"zone_id": "ATTIC"}, {TIME: "2099-01-01T00:00:00Z"})
NO_JSON = (None, b"", b"{", b"\xff\xfe", b"[1, 2]")
UNITS = "SELECT coalesce(sum(units), 0)::int FROM production.totals WHERE zone_id = %s"


def queries(bootstrap_servers: str) -> list[Query]:
    rules = settle(bootstrap_servers)
    return [stream.build(name, rules) for name in stream.QueryName]


def message(key: str, fields: dict[str, Any], partitions: int = EVENTS.partitions) -> Outgoing:
    """The event in the partition of its unit."""
    partition = zlib.crc32(str(fields["qls_unit_id"]).encode()) % partitions
    return Outgoing(json.dumps(fields).encode(), key.encode(), partition)


def events(site: Site, count: int) -> Iterator[Outgoing]:
    """Units that travel together, some with a defect; some events are wrong, late, sent twice or followed by noise."""
    dice = site.rng
    for number in range(site.sent, site.sent + count):
        lap, rest = divmod(number, ON_THE_LINE * len(STOPS))
        stop, lane = divmod(rest, ON_THE_LINE)
        at = site.at(number) - (LATE if number % 50 == 7 else timedelta())
        fields = {"qls_unit_id": f"{lap * ON_THE_LINE + lane}-U", TIME: at.isoformat(), "number": number}
        fields |= {"zone_id": STOPS[stop][0], "collection_point_id": STOPS[stop][1]}
        key, wrong = (UNKNOWN if number % 50 == 31 else PASS), (dice.choice(WRONG) if number % 14 == 3 else {})
        for _ in range(2 if dice.random() < 0.05 else 1):
            yield message(key, {**fields, **wrong}, site.partitions)
        if dice.random() < 0.2:
            charged, _point = dice.choice(STOPS[: stop + 1])
            concern = {"concern_id": dice.choice(produce.NAMES), "zone_charged_id": charged}
            yield message(DEFECT, {**fields, **concern}, site.partitions)
        if number % 14 == 10:
            yield Outgoing(dice.choice(NO_JSON), PASS.encode(), number % site.partitions)


def flow() -> Iterator[Outgoing]:
    """What a line sends without end, stamped as it is taken."""
    for event in produce.stamped(produce.travel(plant(), 0, 0, 0.04, Random(1)), Random(2), produce.now):
        yield message(event.key, event.fields)


def probes() -> Iterator[Outgoing]:
    """Units that pass one point each."""
    zone, point = STOPS[0]
    for number in numbers():
        place = {"collection_point_id": point, "zone_id": zone}
        yield message(PASS, {"qls_unit_id": f"N{number:08d}", **place, TIME: produce.now()})


def watch_postgres(site: Site, seen: dict[int, float], stop: threading.Event) -> None:
    """When PostgreSQL first counted so many units."""
    with psycopg.connect(site.env["LAKE_POSTGRES_DSN"], autocommit=True) as connection:
        while not stop.wait(0.01):
            (units,) = connection.execute(UNITS, [LINE]).fetchone() or (0,)
            seen.setdefault(units, time.monotonic())


def units(site: Site, places: Sequence[Place]) -> Iterable[int]:
    """How many units there are with each of the last ones, of which each record is one."""
    return range(site.sent - len(places) + 1, site.sent + 1)


SUITE = Suite(
    domain=DOMAIN,
    points={
        "history": ("before", "appended", "written"),
        "totals": ("before", "counted", "upserted", "logged", "written"),
    },
    queries=queries,
    events=events,
    number=audit_oracle.number,
    decode=audit_oracle.decode,
    views_wrong=audit_oracle.wrong,
    flow=flow,
    probes=probes,
    views=(View("PostgreSQL", "p95 ≤ 2 s", watch_postgres, units),),
)
