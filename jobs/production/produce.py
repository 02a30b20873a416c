"""Simulates a line and sends its events to the topic production: units pass collection points, some with defects."""

import heapq
import json
import random
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import typer

from jobs.production.events import TIME
from jobs.production.plant import Plant, plant
from jobs.production.schema import DOMAIN, EVENTS
from lakehouse import entry
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import UsageError
from lakehouse.kafka import produce_job, producer, topics

CONCERNS = ("gap", "dent", "scratch", "torque", "leak", "wiring", "missing part", "noise", "paint run", "alignment")
NAMES = tuple(name.replace(" ", "-") for name in CONCERNS)
COMMON = (30, 18, 14, 10, 8, 7, 5, 4, 2, 2)  # how often each concern occurs
CHARGED_EARLIER = 0.25  # of the defects: found here, caused by a zone before
JITTER = 0.15  # of the takt
DUPLICATES, LATE = 0.01, 0.01  # shares of the events: sent twice, or delayed by their controller
DELAY = (20, 400)  # events that are sent before a delayed one
# Output by hour of the plant's clock, as a share of the best hour: three shifts with breaks, few units at night.
PATTERN = (0.5, 0.5, 0.45, 0.3, 0.5, 0.5, 0.9, 1, 1, 0.8, 1, 0.9, 0.7, 1, 0.9, 1, 1, 0.8, 0.9, 0.7, 0.9, 0.8, 0.6, 0.5)


class Event(NamedTuple):
    """A controller's message; `fields` have no time before it is stamped."""

    key: str
    unit: str
    fields: dict[str, Any]


def travel(
    plant: Plant, zones: int, units: int, defect_rate: float, dice: random.Random, run: str = ""
) -> Iterator[Event]:
    """The events of the last `zones` zones of the line, in the order in which its units travel; 0 units: no end.

    `defect_rate` is the share of units with a defect in a zone; zones differ by up to a half from it.
    """
    order = [zone for zone, points in plant.zones.items() if points][-zones:]
    points = [(zone, point) for zone in order for point in plant.zones[zone]]
    last = {place for place, (zone, _) in enumerate(points) if zone not in [later for later, _ in points[place + 1 :]]}
    passed, defect = plant.keys.passes[0], plant.keys.defects[0]
    rates = {zone: defect_rate * dice.uniform(0.5, 1.5) for zone in order}
    due: list[tuple[float, int, int]] = [(0.0, 1, 0)]  # time in takts, unit, next point
    while due:
        at, number, place = heapq.heappop(due)
        if place == 0 and (not units or number < units):
            heapq.heappush(due, (at + dice.uniform(1 - JITTER, 1 + JITTER), number + 1, 0))
        zone, point = points[place]
        unit = f"U{run}{number:07d}"
        fields = {"qls_unit_id": unit, "collection_point_id": point, "zone_id": zone}
        yield Event(passed, unit, fields)
        if place in last:
            while dice.random() < rates[zone]:
                earlier = order[: order.index(zone)]
                charged = dice.choice(earlier) if earlier and dice.random() < CHARGED_EARLIER else zone
                concern = dice.choices(NAMES, COMMON)[0]
                yield Event(defect, unit, {**fields, "concern_id": concern, "zone_charged_id": charged})
        if place + 1 < len(points):
            heapq.heappush(due, (at + dice.uniform(1 - JITTER, 1 + JITTER), number, place + 1))


def stamped(events: Iterator[Event], dice: random.Random, clock: Callable[[], str]) -> Iterator[Event]:
    """The events with their time; some come twice, some after events that happened later."""
    delayed: list[tuple[int, int, Event]] = []
    for number, event in enumerate(events):
        while delayed and delayed[0][0] <= number:
            yield heapq.heappop(delayed)[2]
        ready = event._replace(fields={**event.fields, TIME: clock()})
        chance = dice.random()
        if chance < DUPLICATES + LATE:
            heapq.heappush(delayed, (number + dice.randint(*DELAY), number, ready))
        if not DUPLICATES <= chance < DUPLICATES + LATE:
            yield ready
    yield from (event for _, _, event in sorted(delayed))


def spoilt(event: Event, plant: Plant, dice: random.Random) -> tuple[bytes, bytes]:
    """Key and value of a message as a broken controller sends it."""
    future = f"{datetime.now(UTC).year + 70}-01-01T00:00:00Z"
    ways: list[tuple[str, dict[str, Any]]] = [
        ("".join((*plant.keys.passes, "?")), {}),
        (event.key, {"qls_unit_id": None}),
        (event.key, {"zone_id": "".join((*plant.zones, "?"))}),
        (event.key, {TIME: future}),
        (plant.keys.defects[0], {"zone_charged_id": next(iter(plant.zones)), "concern_id": None}),
    ]
    key, changes = dice.choice(ways)
    value = json.dumps({**event.fields, **changes}).encode()
    return key.encode(), value if dice.random() < 0.8 else value[: len(value) // 2]


def now() -> str:
    """The time as a controller writes it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


class Line(producer.Sender[Event]):
    """Sends events; `pattern` lets the rate follow the hour of the day."""

    def __init__(
        self,
        of: Plant,
        brokers: str,
        rate: float,
        stop: StopSignal,
        bad: float,
        pattern: bool,
        seed: int,
        partitions: int = EVENTS.partitions,
    ) -> None:
        super().__init__(brokers, EVENTS.name, rate, 30, stop)
        self._plant, self._zone = of, ZoneInfo(of.time_zone)
        self._rate, self._bad, self._hour = rate, bad, None if pattern and rate else -1
        self._dice = random.Random(seed)
        self._partitions = partitions

    def message(self, event: Event, number: int) -> producer.Outgoing:
        """The event's message, in the partition of its unit: two keys would fill two partitions."""
        if self._hour != -1 and self._hour != (hour := datetime.now(self._zone).hour):
            self._hour = hour
            self.pace.change(self._rate * PATTERN[hour], number, self.clock())
        key, value = event.key.encode(), json.dumps(event.fields).encode()
        if self._dice.random() < self._bad:
            key, value = spoilt(event, self._plant, self._dice)
        return producer.Outgoing(value, key, zlib.crc32(event.unit.encode()) % self._partitions)


def main(
    rate: Annotated[float, typer.Option(min=0, max=1e6, help="Events a second; 0 is as fast as it goes.")] = 20,
    units: Annotated[int, typer.Option(min=0, help="Units to build; 0 is without end.")] = 0,
    zones: Annotated[int, typer.Option(min=0, help="Zones, counted from the line's end; 0 is all.")] = 0,
    defect_rate: Annotated[float, typer.Option(min=0, max=0.5, help="Share of units with a defect in a zone.")] = 0.04,
    seed: Annotated[int | None, typer.Option(help="The same seed builds the same units.")] = None,
    bad_fraction: Annotated[float, typer.Option(min=0, max=1, help="Share of messages that are spoilt.")] = 0,
    pattern: Annotated[bool, typer.Option(help="Let the rate follow shifts and breaks.")] = True,
    bootstrap_server: produce_job.BootstrapServer = "",
) -> None:
    """Send a line's events to Kafka until --units have left it, Ctrl-C or SIGTERM."""
    of = plant()
    if zones > (most := sum(map(bool, of.zones.values()))):
        raise UsageError(f"{most} zones have collection points, --zones is {zones}.", "Name fewer, or none for all.")
    stop, brokers = StopSignal().listen(), produce_job.prepare(DOMAIN, bootstrap_server)
    seed = random.randrange(2**32) if seed is None else seed
    run = f"{datetime.now(UTC):%y%m%d%H%M%S}-"  # another run builds other units
    partitions = topics.partitions(brokers, EVENTS.name)  # a topic that the user made may have others
    sender = Line(of, brokers, rate, stop, bad_fraction, pattern, seed, partitions)
    events = travel(of, zones, units, defect_rate, random.Random(seed), run)
    progress = produce_job.send(sender, stamped(events, random.Random(seed + 1), now))
    produce_job.check_delivered(progress, "events")


if __name__ == "__main__":
    entry.run(main)
