"""Reading the dead letters of a domain."""

from typing import Any

import pyarrow.compute as pc

from lakehouse import tables
from lakehouse.tables import Table

SHOWN_BYTES = 60


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
