"""The simulated line: units travel through all points in order, and what a broken controller does to its events."""

import random
from collections import defaultdict
from itertools import islice

from jobs.production import produce
from jobs.production.events import TIME
from jobs.production.plant import plant
from jobs.production.schema import EVENTS
from lakehouse.core.stop_signal import StopSignal

PLANT = plant()
ZONES = PLANT.zones
PASS = PLANT.keys.passes[0]


def test_units_pass_all_points_in_order_and_each_seed_builds_its_own() -> None:
    one, same, other = (list(produce.travel(PLANT, len(ZONES), 30, 0.1, random.Random(seed))) for seed in (1, 1, 2))
    assert one == same != other
    seen = defaultdict(list)
    for event in one:
        if event.key == PASS:
            seen[event.unit].append((event.fields["zone_id"], event.fields["collection_point_id"]))
    line = [(zone, point) for zone, points in ZONES.items() for point in points]
    assert len(seen) == 30
    assert all(points == line for points in seen.values())
    assert [event.unit for event in one] != sorted(event.unit for event in one)  # several on the line at once


def test_defects_come_at_their_rate_and_some_are_charged_to_an_earlier_zone() -> None:
    events = list(produce.travel(PLANT, 3, 2000, 0.1, random.Random(3)))
    order = list(ZONES)[-3:]
    defects = [event.fields for event in events if event.key != PASS]
    assert 0.05 < len(defects) / (2000 * 3) < 0.2
    places = [(order.index(each["zone_charged_id"]), order.index(each["zone_id"])) for each in defects]
    assert all(charged <= found for charged, found in places)
    assert 0.05 < sum(charged < found for charged, found in places) / len(places) < 0.3


def test_some_events_come_twice_and_some_late_but_none_is_lost() -> None:
    events = list(produce.travel(PLANT, 6, 300, 0.05, random.Random(4)))
    ticks = iter(range(10**6))
    sent = list(produce.stamped(iter(events), random.Random(5), lambda: f"{next(ticks):09d}"))
    times = [event.fields[TIME] for event in sent]
    assert {(event.unit, event.key, event.fields["collection_point_id"]) for event in events} == {
        (event.unit, event.key, event.fields["collection_point_id"]) for event in sent
    }
    assert sorted(set(times)) == [f"{number:09d}" for number in range(len(events))]
    assert len(times) > len(set(times))
    first = list(dict.fromkeys(times))
    assert first != sorted(first)  # late ones, which come once


def test_a_unit_keeps_its_partition_and_units_fill_all_of_them() -> None:
    line = produce.Line(PLANT, "127.0.0.1:1", 0, StopSignal(), 0, False, 1)
    events = list(islice(produce.travel(PLANT, 6, 0, 0.1, random.Random(6)), 2000))
    where = defaultdict(set)
    for number, event in enumerate(events):
        where[event.unit].add(line.message(event, number).partition)
    assert all(len(partitions) == 1 for partitions in where.values())
    assert set.union(*where.values()) == set(range(EVENTS.partitions))
