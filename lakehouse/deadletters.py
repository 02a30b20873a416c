"""Reading the dead letters of a domain."""

from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse import serving, tables
from lakehouse.tables import Table

SHOWN_BYTES = 60
SAMPLE_BYTES = 2048
SAMPLED_REASONS = 20  # each sample is a read of its own


def reasons(table: Table) -> dict[str, int]:
    """How many dead letters there are for each reason, most frequent first."""
    counted = pc.value_counts(tables.read(table, ["reason"])["reason"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counted, key=lambda entry: -entry["counts"])}


def newest(table: Table, limit: int) -> list[dict[str, Any]]:
    """The newest dead letters, newest first: coordinates, reason, and the start of the value (None for null)."""
    found = tables.read(table).sort_by([("recorded_at", "descending"), ("offset", "descending")]).slice(0, limit)
    return [
        {
            **{name: row[name] for name in ("topic", "partition", "offset", "recorded_at", "reason")},
            **_value(row["value"]),
        }
        for row in found.to_pylist()
    ]


def _value(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value_start": None, "value_bytes": 0}
    return {"value_start": value[:SHOWN_BYTES].decode("utf-8", "backslashreplace"), "value_bytes": len(value)}


class ByReason:
    """Loads a row per reason, most frequent first: how many, and coordinates and start of the newest one's value.

    Dead letters are only ever added, so that only new files are read; after a compaction all that is left.
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
        parts = [serving.read_file(table, table.path / unquote(path), self.COLUMNS) for path in sorted(live - known)]
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
    where = [("offset", "=", int(row.offset)), ("partition", "=", int(row.partition))]
    values = delta.to_pyarrow_table(columns=["value"], filters=where)["value"]
    value: bytes | None = values[0].as_py() if len(values) else None
    if value is None:
        return None
    return value[:SAMPLE_BYTES].decode("utf-8", "backslashreplace") + (" …" if len(value) > SAMPLE_BYTES else "")
