"""A serving table of windows: absolute values under a key, provisional until the watermark has passed their end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lakehouse.core import kill_points
from lakehouse.spark.session import collect
from lakehouse.streaming.batch import Batch, offsets_log
from lakehouse.tables import table_io
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Row = dict[str, Any]
MAINTAIN_EVERY = 500  # batches; some minutes, so that small files stay few


class WindowWriter:
    """The one writer of a table of windows and of its batch log.

    `publish` sends the updated rows elsewhere (a topic) and returns a function that waits for the acknowledgement.
    """

    def __init__(
        self, table: Table, batch_log: Table, publish: Callable[[Sequence[Row]], Callable[[], None]] | None = None
    ) -> None:
        self._table = table
        self._log_table = batch_log
        self._publish = publish
        self._is_known = False

    def _open_tables(self) -> None:
        """Read the tables from disk: after a failure they may have more than this writer knows of."""
        self._delta, self._log = table_io.create(self._table), table_io.create(self._log_table)
        self._open = self._read_open()
        self._is_known = True

    def write(self, frame: "DataFrame", batch: Batch) -> None:
        """Upsert a batch's updated windows, mark closed ones as final, and append the batch to the log."""
        if not self._is_known:
            self._open_tables()
        self._is_known = False
        updated = [self._stamp(row, batch) for row in collect(frame)]
        acknowledged = self._publish(updated) if self._publish and updated else None
        changed = [*updated, *self._closing(updated, batch)]
        if changed:
            self._upsert(changed, batch)
        kill_points.point(f"{batch.query}.upserted", batch.batch_id)
        table_io.append(self._log, table_io.rows(self._log_table, offsets_log(batch)), batch.app_id, batch.batch_id)
        kill_points.point(f"{batch.query}.logged", batch.batch_id)
        if acknowledged:
            acknowledged()
        self._is_known = True
        if batch.batch_id % MAINTAIN_EVERY == MAINTAIN_EVERY - 1:
            table_io.maintain(self._delta, self._closed())
            table_io.maintain(self._log)

    def _closed(self) -> list[tuple[str, str, Any]] | None:
        """The partition of the final rows, to be compacted alone: together with open rows they would be rewritten."""
        cut = "is_final" in self._delta.metadata().partition_columns  # an older table is not partitioned
        return [("is_final", "=", "true")] if cut else None

    def _upsert(self, changed: Sequence[Row], batch: Batch) -> None:
        oldest = min(row["window_start"] for row in changed).isoformat()
        data = table_io.rows(self._table, changed)
        bound = f"target.window_start >= '{oldest}'"
        if table_io.upsert(self._delta, data, self._table.keys, batch.app_id, batch.batch_id, bound):
            for row in changed:
                self._open.pop(self._key(row), None)
                if not row["is_final"]:
                    self._open[self._key(row)] = row
        else:  # a replayed batch: the table has it already, and perhaps later rows
            self._open = self._read_open()

    def _stamp(self, row: Row, batch: Batch) -> Row:
        final = batch.watermark is not None and row["window_end"] <= batch.watermark
        origin = {"generation": batch.generation, "batch_id": batch.batch_id, "updated_at": datetime.now(UTC)}
        return {**row, "is_final": final, **origin}

    def _closing(self, updated: Sequence[Row], batch: Batch) -> list[Row]:
        watermark = batch.watermark
        if watermark is None:
            return []
        touched = {self._key(row) for row in updated}
        late = (row for key, row in self._open.items() if key not in touched and row["window_end"] <= watermark)
        return [{**row, "is_final": True} for row in late]

    def _key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self._table.keys)

    def _read_open(self) -> dict[tuple[Any, ...], Row]:
        rows = table_io.read(self._table, filters=[("is_final", "=", False)]).to_pylist()
        return {self._key(row): row for row in rows}
