"""Reading the dead letters of a domain."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse import tables
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


def by_reason(table: Table, delta: DeltaTable, _files: pd.DataFrame) -> pa.Table:
    """A row per reason, most frequent first: how many, and coordinates and start of the newest one's value."""
    columns = ["reason", "recorded_at", "partition", "offset", "topic"]
    found = delta.to_pyarrow_table(columns=columns).to_pandas()
    found = found.sort_values(["recorded_at", "partition", "offset"], ignore_index=True)
    newest_of = found.groupby("reason", dropna=False, as_index=False).tail(1)
    counts = found["reason"].value_counts(dropna=False).rename("count").reset_index()
    rows = counts.merge(newest_of, on="reason", how="left")
    values = [_sample(delta, row) for row in rows.head(SAMPLED_REASONS).itertuples()]
    rows["sample"] = pd.Series([*values, *[None] * (len(rows) - len(values))], dtype=object)
    return pa.Table.from_pandas(rows, preserve_index=False)


def _sample(delta: DeltaTable, row: Any) -> str | None:
    if pd.isna(row.offset) or pd.isna(row.partition):
        return None
    where = [("offset", "=", int(row.offset)), ("partition", "=", int(row.partition))]
    values = delta.to_pyarrow_table(columns=["value"], filters=where)["value"]
    value: bytes | None = values[0].as_py() if len(values) else None
    if value is None:
        return None
    return value[:SAMPLE_BYTES].decode("utf-8", "backslashreplace") + (" …" if len(value) > SAMPLE_BYTES else "")
