"""Builders of line events, and what they add up to, counted in plain Python: shares no code with the pipeline."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RECORDS = "topic string, partition int, offset bigint, timestamp timestamp, key binary, value binary"
Event = dict[str, Any]
SEMINAR = Path(__file__).parents[2] / "cases/12-seminar-line"


def passed(unit: str = "u1", zone: str = "BODY", minutes: float = 0, point: str = "B10") -> Event:
    """A unit at a collection point, so many minutes after noon."""
    return {
        "qls_unit_id": unit,
        "collection_point_id": point,
        "zone_id": zone,
        "unit_collection_pt_timestamp": (NOON + timedelta(minutes=minutes)).isoformat(),
    }


def defect(unit: str = "u1", zone: str = "BODY", minutes: float = 1, charged: str = "", concern: str = "gap") -> Event:
    """A defect found on a unit in a zone."""
    return {**passed(unit, zone, minutes), "concern_id": concern, "zone_charged_id": charged or zone}


def record(value: Any, key: str | None = None, offset: int = 0, after: float = 2e5) -> tuple[Any, ...]:
    """A Kafka record stamped `after` seconds past noon; the key is what the fields say unless given."""
    kind = "unit_defect" if isinstance(value, dict) and "concern_id" in value else "unit_collection_point"
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    data = None if raw is None else bytearray(raw)
    stamped = NOON + timedelta(seconds=after)
    return ("production", 0, offset, stamped, bytearray((kind if key is None else key).encode()), data)


def _at(event: Event) -> datetime:
    sent = event["unit_collection_pt_timestamp"]
    if isinstance(sent, int) or str(sent).isdigit():
        return datetime.fromtimestamp(int(sent) / 1000, UTC)
    at = datetime.fromisoformat(str(sent))
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def count(events: Iterable[Event]) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """(day, zone or line) -> units, defects found, defects charged, defective units."""
    first: dict[tuple[str, str], datetime] = {}
    last: dict[str, datetime] = {}
    defects: set[tuple[Any, ...]] = set()
    for event in events:
        unit, zone, at = str(event["qls_unit_id"]), event["zone_id"], _at(event)
        if "concern_id" in event:
            defects.add((unit, zone, event["zone_charged_id"], event["concern_id"], event["collection_point_id"], at))
        else:
            first[unit, zone] = min(at, first.get((unit, zone), at))
            last[unit] = max(at, last.get(unit, at))
    cells: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    found = Counter((one[0], one[1]) for one in defects)
    charged = Counter((one[0], one[2]) for one in defects)
    of_unit = Counter(one[0] for one in defects)
    for (unit, zone), at in first.items():
        _add(cells[_day(at), zone], found[unit, zone], charged[unit, zone])
    for unit, at in last.items():
        _add(cells[_day(at), "line"], of_unit[unit], of_unit[unit])
    return {key: (cell[0], cell[1], cell[2], cell[3]) for key, cell in cells.items()}


def _add(cell: list[int], found: int, charged: int) -> None:
    for place, number in enumerate((1, found, charged, int(found > 0))):
        cell[place] += number


def _day(at: datetime) -> str:
    return (at - timedelta(hours=6)).date().isoformat()


def counted(rows: Iterable[Any]) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """Rows of totals in the form of `count`; rows of zeros, whose units have moved, are left out."""
    names = ("units", "defects_found", "defects_charged", "defective_units")
    totals = {(str(row["day"]), row["zone_id"]): tuple(int(row[name]) for name in names) for row in rows}
    return {key: cell for key, cell in totals.items() if any(cell)}  # type: ignore[misc]


def seminar(at: datetime, run: str) -> list[tuple[str, bytes, bytes]]:
    """A plant's own messages: label, key, value, at that time where they have none of their own."""
    templates = [json.loads(line) for line in (SEMINAR / "production.jsonl").read_text().splitlines()]
    filled = [one["value"].replace("@RUN@", run).replace("@Z@", at.isoformat()) for one in templates]
    return [(one["label"], one["key"].encode(), value.encode()) for one, value in zip(templates, filled, strict=True)]
