"""What `lake audit production` needs: a decoder of its own, and the totals counted again from the events.

The rules are written a second time here, in plain Python from the bytes: where they and transforms.py differ, the audit
says so.
"""

import functools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from jobs.production import versions
from jobs.production.events import TIME
from jobs.production.plant import LINE, Plant, Rules, plant
from jobs.production.schema import DEAD_LETTERS, DOMAIN, EVENTS, HISTORY, TOTALS
from lakehouse.audit import json_records
from lakehouse.audit.contract import Audit, Decoded
from lakehouse.audit.json_records import NoEvent, refuse
from lakehouse.audit.pinned import TableVersion
from lakehouse.audit.results import Findings, ViewResult
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.reader import Record
from lakehouse.sinks import postgres
from lakehouse.streaming import checkpoints, event_reading

AHEAD = timedelta(minutes=5)
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
OF_DEFECTS = ("concern_id", "zone_charged_id")
EVENT = ("kind", "unit_id", "collection_point_id", "zone_id", "concern_id", "zone_charged_id", "event_at")


def event(record: Record, rules: Rules) -> dict[str, Any]:
    """The event in a record. Raises NoEvent when there is none."""
    kind = _kind(record.key or b"", rules)
    raw = json_records.read_object(record)
    recorded = json_records.recorded_at(record)
    at = json_records.time_of(json_records.text_of(raw.get(TIME)) or refuse("no time"))
    if at < datetime(2000, 1, 1, tzinfo=UTC) or at > recorded + AHEAD:
        refuse("time out of bounds")
    fields = {"kind": kind, "unit_id": _id(raw, "qls_unit_id"), "event_at": at}
    fields["collection_point_id"] = point = _id(raw, "collection_point_id")
    of_defect = kind == "defect"
    for name in OF_DEFECTS:  # must be ids in a pass as well, though it has none
        json_records.id_of(raw, name)
    fields["zone_id"] = _zone(raw, "zone_id", rules, point if of_defect else None)
    fields["concern_id"] = _id(raw, "concern_id") if of_defect else None
    fields["zone_charged_id"] = _zone(raw, "zone_charged_id", rules) if of_defect else None
    return fields


def _kind(key: bytes, rules: Rules) -> str:
    return _kinds(rules.keys.passes, rules.keys.defects).get(key) or refuse("key")


@functools.cache
def _kinds(passes: tuple[str, ...], defects: tuple[str, ...]) -> dict[bytes, str]:
    named = [*((name, "pass") for name in passes), *((name, "defect") for name in defects)]
    quoted = [(json.dumps(name, ensure_ascii=plain), kind) for name, kind in named for plain in (True, False)]
    return {name.encode(): kind for name, kind in (*named, *quoted)}


def _id(raw: Mapping[str, Any], name: str) -> str:
    text = json_records.id_of(raw, name)
    printable = 0 < len(text) <= 128 and not text.isspace() and not _UNPRINTABLE.search(text)
    return text if printable else refuse(name)


def _zone(raw: Mapping[str, Any], name: str, rules: Rules, point: str | None = None) -> str:
    if raw.get(name) is None and point is not None:
        homes = [zone for zone, points in rules.zones.items() if point in points]
        return homes[0] if len(homes) == 1 else refuse(name)
    zone = json_records.id_of(raw, name)
    return zone if zone in rules.zones else refuse(name)


def decode(where: TopicPartition, records: Sequence[Record]) -> Decoded:
    """The records' events as rows of HISTORY, and why the others are none."""
    rows, refused, known = [], {}, versions.of_lake()
    topic, partition = where
    for record in records:
        place = {"topic": topic, "partition": partition, "offset": record.offset}
        try:
            found = event(record, known.at(partition, record.offset))
            rows.append({**found, **place, "recorded_at": json_records.recorded_at(record)})
        except NoEvent as reason:
            refused[record.offset] = str(reason)
    return Decoded(pa.Table.from_pylist(rows, schema=HISTORY.arrow_schema), refused)


class Totals:
    """The totals in Delta and PostgreSQL, as they were pinned, against a count of the events that they have seen."""

    columns: tuple[str, ...] = EVENT

    def __init__(self) -> None:
        versions.check_day()
        self._plant = plant()
        self._delta = TableVersion(TOTALS)
        self._rows = _by_key(self._delta.read(list(TOTALS.columns)).to_pylist())
        checkpoint = checkpoints.path(DOMAIN.name, "totals")
        self.former_until = event_reading.former_until(checkpoint)
        born = checkpoints.generation(checkpoint) if checkpoints.exists(checkpoint) else ""
        self._batch = self._delta.last(born, "totals")
        self._ends = {} if self._batch is None else checkpoints.plan(checkpoint, self._batch).ends
        self._stored = _by_key(postgres.read_rows(TOTALS)) if self._rows else {}  # after Delta: it is never behind
        self._first: dict[tuple[str, str], datetime] = {}
        self._last: dict[str, datetime] = {}
        self._defects: set[tuple[str, ...]] = set()

    def add(self, where: TopicPartition, rows: pa.Table) -> None:
        """Count valid events of a partition that the batch of the pinned rows had read."""
        end = self._ends.get(where, 0)
        self._take(rows.filter(pc.less(rows["offset"], end)))

    def _take(self, rows: pa.Table) -> None:
        for kind, unit, point, zone, concern, charged, at in zip(
            *(rows[name].to_pylist() for name in EVENT), strict=True
        ):
            if kind == "defect":
                self._defects.add((unit, zone, charged, concern, point, at))
            else:
                self._first[unit, zone] = min(at, self._first.get((unit, zone), at))
                self._last[unit] = max(at, self._last.get(unit, at))

    def check(self, history: TableVersion) -> list[ViewResult]:
        """What is off in either store."""
        retired = pc.starts_with(pc.field("topic"), f"{EVENTS.name}@")  # of a topic that was made again
        self._take(history.read(list(EVENT), retired))
        findings, expected = Findings(), self._expected()
        for key in sorted({*expected, *self._rows}):
            row, wanted = self._rows.get(key), expected.get(key, (0, 0, 0, 0))
            total = (0, 0, 0, 0) if row is None else _counts(row)
            findings.add("total differs", [_name(key)] if total != wanted else [], f"{total}, the topic gives {wanted}")
        delta = _result(TOTALS.name, len(self._rows), findings)
        return [delta, _result(f"{TOTALS.name} in PostgreSQL", len(self._stored), self._compared())]

    def _compared(self) -> Findings:
        """PostgreSQL against Delta; a row that PostgreSQL has changed since is left for the next audit."""
        findings = Findings()
        for key in sorted({*self._rows, *self._stored}):
            ours, theirs = self._rows.get(key), self._stored.get(key)
            if theirs is not None and self._batch is not None and theirs["batch_id"] > self._batch:
                continue
            same = ours is not None and theirs is not None and all(ours[name] == theirs[name] for name in _SAME)
            findings.add("total is not the same in Delta and in PostgreSQL", [] if same else [_name(key)])
        return findings

    def _expected(self) -> dict[tuple[str, str], tuple[int, ...]]:
        found_in = Counter((one[0], one[1]) for one in self._defects)
        charged = Counter((one[0], one[2]) for one in self._defects)
        of_unit = Counter(one[0] for one in self._defects)
        cells: dict[tuple[str, str], list[int]] = {}
        units = [(zone, at, found_in[unit, zone], charged[unit, zone]) for (unit, zone), at in self._first.items()]
        line = [(LINE, at, of_unit[unit], of_unit[unit]) for unit, at in self._last.items()]
        for zone, at, here, caused in (*units, *line):
            cell = cells.setdefault((day_of(at, self._plant).isoformat(), zone), [0, 0, 0, 0])
            for place, number in enumerate((1, here, caused, int(here > 0))):
                cell[place] += number
        return {key: tuple(cell) for key, cell in cells.items()}


def day_of(at: datetime, of: Plant) -> date:
    """The production day of an instant: the newest that had begun."""
    zone, starts = ZoneInfo(of.time_zone), time.fromisoformat(of.day_starts)
    day = at.astimezone(zone).date() + timedelta(days=1)
    while datetime.combine(day, starts, zone).astimezone(UTC) > at:
        day -= timedelta(days=1)
    return day


_SAME = tuple(name for name in TOTALS.columns if name != "updated_at")


def _by_key(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["day"].isoformat(), row["zone_id"]): row for row in rows}


def _counts(row: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in ("units", "defects_found", "defects_charged", "defective_units"))


def _name(key: tuple[str, str]) -> str:
    return " ".join(key)


def _result(table: str, rows: int, findings: Findings) -> ViewResult:
    return ViewResult(table, rows, note="" if rows else "not written yet", findings=findings.to_list())


AUDIT = Audit(query="history", history=HISTORY, dead_letters=DEAD_LETTERS, decode=decode, others=(Totals,))
