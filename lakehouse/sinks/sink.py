"""What a query writes its batches to, and what all sinks of small Delta tables do alike.

A batch may come again, whole, after a kill at any point. Each sink has its own guard against writing it twice.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from deltalake import DeltaTable

from lakehouse.core import kill_points
from lakehouse.streaming.batch import Batch, offsets_log
from lakehouse.tables import table_io
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Row = Mapping[str, Any]
Partitions = Sequence[tuple[str, str, Any]]
MAINTAIN_EVERY = 500  # batches; some minutes, so that small files stay few


class Sink(Protocol):
    """What a query writes its batches to. A batch that comes again changes nothing, or is recognised as the same."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """The Delta tables that it writes."""

    def write(self, frame: "DataFrame", batch: Batch) -> None:
        """Write the batch; when this returns it outlasts a kill."""


class RowSink(Protocol):
    """A second place for the rows that a sink writes: a topic, the console."""

    def send(self, rows: Sequence[Row], batch: Batch) -> Callable[[], None]:
        """Begin to write the rows; the function returned waits until they are written."""


class TableSink(ABC):
    """The one writer of some Delta tables and of their batch log, with `deltalake` from the driver.

    The guard: Delta's log has the newest batch that each table got. Between two batches a sink keeps nothing of the
    tables' rows, whatever their number.
    """

    def __init__(self, tables: Sequence[Table], batch_log: Table, also: Sequence[RowSink] = ()) -> None:
        self.tables = (*tables, batch_log)
        self._batch_log = batch_log
        self._also = tuple(also)
        self._deltas: dict[str, DeltaTable] = {}
        self._unfinished: list[Callable[[], None]] = []

    @abstractmethod
    def put(self, frame: "DataFrame", batch: Batch) -> None:
        """Write the batch's rows: `upsert` for the tables, `send` for the other places."""

    def opened(self) -> None:  # noqa: B027 - most sinks have nothing to do
        """Called when the tables have been read from disk: at the first batch, and after a failure."""

    def partitions_to_compact(self, table: Table) -> Partitions | None:
        """The partitions that maintenance compacts; None for all."""
        return None

    def write(self, frame: "DataFrame", batch: Batch) -> None:
        """Write the batch to the tables, append it to the batch log, and maintain the tables now and then."""
        try:
            self._open()
            self.put(frame, batch)
            rows = table_io.rows(self._batch_log, offsets_log(batch))
            table_io.append(self.delta(self._batch_log), rows, batch.app_id, batch.batch_id)
            kill_points.point(f"{batch.query}.logged", batch.batch_id)
            for wait in self._unfinished:
                wait()
        except BaseException:
            self._deltas = {}  # a commit may be there that these handles do not know
            raise
        finally:
            self._unfinished = []
        if batch.batch_id % MAINTAIN_EVERY == MAINTAIN_EVERY - 1:
            for table in self.tables:
                table_io.maintain(self.delta(table), self.partitions_to_compact(table))

    def _open(self) -> None:
        if not self._deltas:
            self._deltas = {table.name: table_io.create(table) for table in self.tables}
            self.opened()

    def delta(self, table: Table) -> DeltaTable:
        """The open table."""
        return self._deltas[table.name]

    def send(self, rows: Sequence[Row], batch: Batch) -> None:
        """Begin to write rows to the other places, too; the batch ends when they are written."""
        if rows:
            self._unfinished += [place.send(rows, batch) for place in self._also]

    def upsert(self, table: Table, rows: Sequence[Row], batch: Batch, bound: str = "") -> bool:
        """Replace rows by the table's key; False when the table already has the batch. `bound`: see table_io."""
        is_new = True
        if rows:
            data = table_io.rows(table, rows)
            is_new = table_io.upsert(self.delta(table), data, table.keys, batch.app_id, batch.batch_id, bound)
        kill_points.point(f"{batch.query}.upserted", batch.batch_id)
        return is_new
