"""A serving table of rows under a key that change and go: the newest change of each key, none once it is deleted."""

import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.core import kill_points
from lakehouse.sinks.sink import Row, RowSink, TableSink
from lakehouse.streaming.batch import Batch
from lakehouse.tables import schema_changes, table_io
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DELETED = "is_deleted"


class KeyedTable(TableSink):
    """The one writer of a keyed table and of its batch log.

    A batch has the table's columns without the origin, and the BOOLEAN `is_deleted`: such a row removes its key. Of two
    changes to a key the later by the columns `order` stands, in a batch and against the row in the table; key and
    order are never null. The table keeps no deleted keys: changes of a key have to come in order across batches once
    it is deleted, as they do from one partition. Changes that stand go to the other places, too, with `is_deleted`.
    """

    def __init__(self, table: Table, batch_log: Table, order: Sequence[str], also: Sequence[RowSink] = ()) -> None:
        super().__init__((table,), batch_log, also)
        self._table, self._order = table, tuple(order)

    def put(self, frame: "DataFrame", batch: Batch) -> None:
        """Upsert and delete the keys that the batch changed."""
        changes = newest_changes(frame.toArrow(), self._table.keys, self._order)
        rows = stamped(changes, self._table, batch)
        self.send(self._standing(rows).to_pylist() if self._also else (), batch)
        if rows.num_rows:
            delta = self.delta(self._table)
            table_io.upsert_or_delete(delta, rows, self._table, DELETED, self._order, batch.app_id, batch.batch_id)
        kill_points.point(f"{batch.query}.upserted", batch.batch_id)

    def _standing(self, changes: pa.Table) -> pa.Table:
        keys = list(self._table.keys)
        values = {name: changes[name].unique() for name in keys}
        rows = schema_changes.dataset(self._table, self.delta(self._table))
        found: list[Row] = []
        for part in rows.to_batches(columns=[*keys, *self._order]):  # as a filter, `isin` fails for texts
            touched = functools.reduce(pc.and_, (pc.is_in(part[name], values[name]) for name in keys))
            found += part.filter(touched).to_pylist()
        return standing(changes, found, keys, self._order)


def standing(changes: pa.Table, rows: Sequence[Row], keys: Sequence[str], order: Sequence[str]) -> pa.Table:
    """The changes that are not older by `order` than the row with their key; `rows` have at least those columns."""
    known = {tuple(row[name] for name in keys): tuple(row[name] for name in order) for row in rows}
    places = zip(*(changes[name].to_pylist() for name in keys), strict=True)
    orders = zip(*(changes[name].to_pylist() for name in order), strict=True)
    stand = [key not in known or known[key] <= at for key, at in zip(places, orders, strict=True)]
    return changes.filter(pa.array(stand, pa.bool_()))


def newest_changes(changes: pa.Table, keys: Sequence[str], order: Sequence[str]) -> pa.Table:
    """The last change of each key, by the columns of the order."""
    by_order = [(name, "ascending") for name in order]
    ordered = changes.sort_by(by_order)
    ranked = ordered.select(list(keys)).append_column("rank", pa.array(range(ordered.num_rows), pa.int64()))
    return ordered.take(ranked.group_by(list(keys)).aggregate([("rank", "max")])["rank_max"])


def stamped(changes: pa.Table, table: Table, batch: Batch) -> pa.Table:
    """The changes in the table's types with the batch as their origin, and `is_deleted`."""
    origin = {"generation": batch.generation, "batch_id": batch.batch_id, "updated_at": datetime.now(UTC)}
    columns = [
        pa.array([origin[field.name]] * changes.num_rows, field.type)
        if field.name in origin
        else changes[field.name].cast(field.type)
        for field in table.arrow_schema
    ]
    deleted = pc.fill_null(changes[DELETED], False)
    return pa.table([*columns, deleted], schema=table.arrow_schema.append(pa.field(DELETED, pa.bool_())))
