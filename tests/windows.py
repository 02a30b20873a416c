"""What the suites need of a table of windows, whatever its domain: when it shows a record, and whether it is right."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from deltalake import DeltaTable

from lakehouse.contract.tables import Table
from lakehouse.streaming import checkpoints
from lakehouse.tables import table_io
from tests.sites import Site
from tests.suite import Place

Cell = tuple[datetime, Any]  # window start and group


def watch(table: Table, query: str) -> Callable[[Site, dict[int, float], threading.Event], None]:
    """Notes when each batch of the query was first visible to a reader of its table."""

    def watched(_site: Site, seen: dict[int, float], stop: threading.Event) -> None:
        delta, version = DeltaTable(table.path), -1
        app_id = f"{checkpoints.generation(checkpoints.path(table.domain, query))}:{table.name}"
        while not stop.is_set():
            delta.update_incremental()
            if delta.version() != version:
                version, batch = delta.version(), delta.transaction_version(app_id)
                if batch is not None:
                    seen.setdefault(batch, time.monotonic())
            time.sleep(0.01)

    return watched


def batches(batch_log: Table) -> Callable[[Site, Sequence[Place]], Iterable[int]]:
    """Gives the batch that read each record, by the batch log."""

    def steps(_site: Site, places: Sequence[Place]) -> Iterable[int]:
        rows = table_io.read(batch_log).to_pylist()
        batch_of = {
            (row["partition"], offset): row["batch_id"]
            for row in rows
            for offset in range(row["start_offset"], row["end_offset"])
        }
        return [batch_of[place] for place in places]

    return steps


def rows_wrong(
    table: Table, batch_log: Table, group: str, columns: Sequence[str], expected: Mapping[Cell, tuple[Any, ...]]
) -> list[str]:
    """Each row of the table has the expected columns, and is final when the watermark has passed its end."""
    rows = table_io.read(table).to_pylist()
    values = {(row["window_start"], row[group]): tuple(row[name] for name in columns) for row in rows}
    wrong = [] if len(rows) == len(values) else [f"{table.name} has {len(rows)} rows for {len(values)} keys"]
    differing = sorted(cell for cell in expected.keys() | values.keys() if expected.get(cell) != values.get(cell))
    if differing:
        first = differing[0]
        was, wanted = values.get(first), expected.get(first)
        wrong.append(f"{len(differing)} rows of {table.name} differ, first {first}: {was}, not {wanted}")
    watermarks = [row["watermark"] for row in table_io.read(batch_log).to_pylist() if row["watermark"]]
    flags = [row for row in rows if watermarks and row["is_final"] != (row["window_end"] <= max(watermarks))]
    return [*wrong, *([f"{len(flags)} rows of {table.name} are wrongly final or provisional"] if flags else [])]
