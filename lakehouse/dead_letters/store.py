"""Reads the dead letters of a domain."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse.errors import UsageError
from lakehouse.tables import loads, table_io
from lakehouse.tables.table_io import Table

SHOWN_BYTES = 60
SAMPLE_BYTES = 2048
SAMPLED_REASONS = 20  # each sample is a read of its own
COORDINATES = ("topic", "partition", "offset")


class Place(NamedTuple):
    """The place of a record: topic, partition, offset; written houses/0/12."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def parse_place(text: str) -> Place:
    """The place written in the text. Raises UsageError for another text."""
    topic, *numbers = text.rsplit("/", 2)
    if not topic or len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise UsageError(f"A place is <topic>/<partition>/<offset>; got {text!r}.", "For example houses/0/12.")
    return Place(topic, int(numbers[0]), int(numbers[1]))


@dataclass(frozen=True)
class Letter:
    """A whole dead letter; key and value are the bytes of the record, None for null."""

    place: Place
    recorded_at: datetime
    reason: str
    key: bytes | None
    value: bytes | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: bytes that are not UTF-8 are `key_base64` and `value_base64`."""
        values = {"at": str(self.place), "reason": self.reason, "recorded_at": self.recorded_at}
        return values | _as_text("key", self.key) | _as_text("value", self.value)


def _as_text(name: str, data: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if data is None else data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data or b"").decode()}


def reasons(table: Table) -> dict[str, int]:
    """The number of dead letters by reason, most frequent first."""
    counted = pc.value_counts(table_io.read(table, ["reason"])["reason"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counted, key=lambda entry: -entry["counts"])}


def newest(table: Table, limit: int) -> list[dict[str, Any]]:
    """The newest dead letters, newest first: coordinates, reason, and the start of the value (None for null)."""
    return [
        {
            **letter.place._asdict(),
            "recorded_at": letter.recorded_at,
            "reason": letter.reason,
            **_start_of(letter.value),
        }
        for letter in letters(table, places(table, limit=limit))
    ]


def places(table: Table, reason: str = "", limit: int | None = None) -> list[Place]:
    """The places of the dead letters whose reason contains this text, newest first. Their bytes are not read."""
    rows = table_io.read(table, [*COORDINATES, "recorded_at", "reason"])
    if reason:
        rows = rows.filter(pc.match_substring(rows["reason"], reason, ignore_case=True))
    order = [("recorded_at", "descending"), ("topic", "ascending"), ("partition", "ascending")]
    order += [("offset", "descending")]
    rows = rows.sort_by(order).slice(0, limit).select(list(COORDINATES)).to_pylist()
    return [Place(**row) for row in rows]


def letters(table: Table, wanted: Sequence[Place]) -> list[Letter]:
    """The dead letters at these places, in this order; places without one are left out."""
    if not wanted:
        return []
    offsets = sorted({where.offset for where in wanted})
    by_place = {}
    for row in table_io.read(table, filters=[("offset", "in", offsets)]).to_pylist():
        where = Place(*(row[name] for name in COORDINATES))
        by_place[where] = Letter(where, row["recorded_at"], row["reason"], row["key"], row["value"])
    return [by_place[where] for where in wanted if where in by_place]


def in_chunks(table: Table, wanted: Sequence[Place], size: int) -> Iterable[list[Letter]]:
    """The dead letters at these places, `size` at a time: all their bytes may not fit into memory."""
    for first in range(0, len(wanted), size):
        yield letters(table, wanted[first : first + size])


def _start_of(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value_start": None, "value_bytes": 0}
    return {"value_start": value[:SHOWN_BYTES].decode("utf-8", "backslashreplace"), "value_bytes": len(value)}


class ByReason:
    """Loads a row per reason, most frequent first: how many, and coordinates and start of the newest one's value.

    Dead letters are only added, so it reads only new files; after a compaction all of them.
    """

    COLUMNS = ("reason", "recorded_at", "partition", "offset", "topic")

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._rows: list[pd.DataFrame] = []
        self._samples: dict[tuple[Any, ...], str | None] = {}

    def __call__(self, table: Table, delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
        """The rows; a Loader."""
        live = set(files["path"])
        known, before = (self._seen, self._rows) if self._seen <= live else (set(), [])
        parts = [loads.read_file(table, table.path / unquote(path), self.COLUMNS) for path in sorted(live - known)]
        rows = _by_reason([*before, *(part.to_pandas().assign(count=1) for part in parts)])
        self._seen, self._rows = live, [rows]
        self._samples = {_place(row): self._sample(delta, row) for row in rows.head(SAMPLED_REASONS).itertuples()}
        samples = pd.Series([self._samples.get(_place(row)) for row in rows.itertuples()], dtype=object)
        return pa.Table.from_pandas(rows.assign(sample=samples), preserve_index=False)

    def _sample(self, delta: DeltaTable, row: Any) -> str | None:
        place = _place(row)
        return self._samples[place] if place in self._samples else _sample(delta, row)


def _by_reason(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """A row per reason, most frequent first: the sum of `count`, the rest as in its newest row."""
    ordered = pd.concat(parts).sort_values(["recorded_at", "partition", "offset"], ignore_index=True)
    groups = ordered.groupby("reason", dropna=False, as_index=False, sort=False)
    newest_of = groups.tail(1).drop(columns="count")
    rows: pd.DataFrame = groups["count"].sum().merge(newest_of, on="reason", how="left")
    return rows.sort_values("count", ascending=False, kind="stable", ignore_index=True)


def _place(row: Any) -> tuple[Any, ...]:
    return row.topic, row.partition, row.offset, row.recorded_at


def _sample(delta: DeltaTable, row: Any) -> str | None:
    if pd.isna(row.offset) or pd.isna(row.partition):
        return None
    where = [("topic", "=", row.topic), ("partition", "=", int(row.partition)), ("offset", "=", int(row.offset))]
    values = delta.to_pyarrow_table(columns=["value"], filters=where)["value"]
    value: bytes | None = values[0].as_py() if len(values) else None
    if value is None:
        return None
    return value[:SAMPLE_BYTES].decode("utf-8", "backslashreplace") + (" …" if len(value) > SAMPLE_BYTES else "")
