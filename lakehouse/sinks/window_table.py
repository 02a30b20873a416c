"""A serving table of windows: absolute values under a key, provisional until the watermark has passed their end."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from lakehouse.sinks.sink import Partitions, Row, RowSink, TableSink
from lakehouse.spark.session import collect
from lakehouse.streaming.batch import Batch
from lakehouse.tables import schema_changes
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_IS_OPEN = ~pc.field("is_final")


class WindowTable(TableSink):
    """The one writer of a table of windows and of its batch log; updated rows go to the other places, too.

    Open windows are read back from the table in the batch that closes some. The driver only keeps when the next one
    ends.
    """

    def __init__(self, table: Table, batch_log: Table, also: Sequence[RowSink] = ()) -> None:
        super().__init__((table,), batch_log, also)
        self._table = table
        self._next_end: datetime | None = None  # no open window ends earlier; None: there is none

    def opened(self) -> None:
        """Read when the next open window ends."""
        _, self._next_end = self._read_open()

    def put(self, frame: "DataFrame", batch: Batch) -> None:
        """Upsert a batch's updated windows and mark closed ones as final."""
        updated = [_stamp(row, batch) for row in collect(frame)]
        self.send(updated, batch)
        open_ends = [row["window_end"] for row in updated if not row["is_final"]]
        changed = updated
        if batch.watermark and self._next_end and self._next_end <= batch.watermark:
            ended, self._next_end = self._read_open(batch.watermark)
            touched = {self._key(row) for row in updated}
            changed = [*updated, *({**row, "is_final": True} for row in ended if self._key(row) not in touched)]
        oldest = min((row["window_start"] for row in changed), default=None)
        bound = f"target.window_start >= '{oldest.isoformat()}'" if oldest else ""
        self.upsert(self._table, changed, batch, bound)
        self._next_end = min([*open_ends, *([self._next_end] if self._next_end else [])], default=None)

    def partitions_to_compact(self, table: Table) -> Partitions | None:
        """The final rows alone: together with open rows they would be rewritten by every batch."""
        cut = "is_final" in self.delta(table).metadata().partition_columns  # an older table is not partitioned
        return [("is_final", "=", "true")] if cut else None

    def _read_open(self, watermark: datetime | None = None) -> tuple[list[Row], datetime | None]:
        """The open windows of the table that the watermark has passed, and when the next of the others ends."""
        ended: list[Row] = []
        next_end: datetime | None = None
        rows = schema_changes.dataset(self._table, self.delta(self._table))
        for part in rows.to_batches(filter=_IS_OPEN):
            others = part
            if watermark:
                ended += part.filter(pc.field("window_end") <= watermark).to_pylist()
                others = part.filter(pc.field("window_end") > watermark)
            ends = [pc.min(others["window_end"]).as_py(), next_end]
            next_end = min((end for end in ends if end), default=None)
        return ended, next_end

    def _key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self._table.keys)


def _stamp(row: Row, batch: Batch) -> Row:
    final = batch.watermark is not None and row["window_end"] <= batch.watermark
    origin = {"generation": batch.generation, "batch_id": batch.batch_id, "updated_at": datetime.now(UTC)}
    return {**row, "is_final": final, **origin}
