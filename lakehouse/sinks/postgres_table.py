"""A table in PostgreSQL of rows under a key that change and go, as `keyed_table` is one in Delta."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from psycopg import sql

from lakehouse.contract.tables import Table
from lakehouse.core import kill_points
from lakehouse.sinks import postgres, postgres_schema
from lakehouse.sinks.keyed_table import DELETED, newest_changes, stamped, standing
from lakehouse.sinks.sink import RowSink
from lakehouse.streaming.batch import Batch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class PostgresTable:
    """The one writer of a keyed table in PostgreSQL; batches and order as KeyedTable has them.

    The guard: the batch's number is written in the transaction of its rows. The tables need the origin's columns. The
    rows of an earlier checkpoint are deleted where the topics still have all of their records, of which the rows are
    made again; where retention has deleted some, rows stay that nothing would bring back.
    """

    tables: tuple[Table, ...] = ()  # in Delta

    def __init__(
        self, table: Table, order: Sequence[str], meanings: Mapping[str, str], also: Sequence[RowSink] = ()
    ) -> None:
        self._table, self._order, self._meanings, self._also = table, tuple(order), meanings, tuple(also)
        self._connection: postgres.Connection | None = None

    def write(self, frame: "DataFrame", batch: Batch) -> None:
        """Upsert and delete the keys that the batch changed. Raises UnavailableError when the server is away."""
        changes = stamped(newest_changes(frame.toArrow(), self._table.keys, self._order), self._table, batch)
        try:
            with postgres.answering():
                stands = self._apply(changes, batch)
        except BaseException:
            self._connection = None
            raise
        kill_points.point(f"{batch.query}.upserted", batch.batch_id)
        rows = stands.to_pylist() if self._also else []
        for wait in [place.send(rows, batch) for place in self._also if rows]:
            wait()

    def _apply(self, changes: pa.Table, batch: Batch) -> pa.Table:
        """Write the batch, unless it is written; the changes that stand, which are the same when it comes again."""
        if self._connection is None or self._connection.closed:
            postgres_schema.create(self._table.domain, (self._table,), self._meanings)
            self._connection = postgres.connect(self._table.domain)
        with self._connection.transaction():
            state = postgres.begin(self._connection, batch)
            if state == "first" and not any(batch.starts.values()):
                postgres.truncate(self._connection, [self._table])
            _stage(self._connection, self._table, changes)
            touched, *statements = self._statements()
            rows = self._connection.execute(touched).fetchall() if self._also else []
            if state != "written":
                for statement in statements:
                    self._connection.execute(statement)
                postgres.record_commit(self._connection, batch)
        return standing(changes, rows, self._table.keys, self._order)

    def _statements(self) -> Sequence[sql.Composed]:
        """Read the rows of the staged changes' keys; delete and upsert; a row that is later by the order stays."""
        table, others = self._table, [name for name in self._table.columns if name not in self._table.keys]
        parts: dict[str, sql.Composable] = {
            "table": sql.Identifier(table.name),
            "deleted": sql.Identifier(DELETED),
            "columns": postgres.names(list(table.columns)),
            "keys": postgres.names(table.keys),
            "sets": sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others),
        }
        for of in ("target", "changes", "excluded"):
            parts[f"{of}_keys"] = _of(of, table.keys)
            parts[f"{of}_order"] = _of(of, self._order)
        return [sql.SQL(statement).format(**parts) for statement in (_TOUCHED, _DELETE, _UPSERT)]


_TOUCHED = (
    "SELECT {target_keys}, {target_order} FROM {table} AS target JOIN changes ON ({target_keys}) = ({changes_keys})"
)
_DELETE = """DELETE FROM {table} AS target USING changes WHERE ({target_keys}) = ({changes_keys}) AND changes.{deleted}
    AND ({changes_order}) >= ({target_order})"""
_UPSERT = """INSERT INTO {table} AS target ({columns}) SELECT {columns} FROM changes WHERE NOT {deleted}
    ON CONFLICT ({keys}) DO UPDATE SET {sets} WHERE ({excluded_order}) >= ({target_order})"""


def _of(table: str, columns: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in columns)


def _stage(connection: postgres.Connection, table: Table, changes: pa.Table) -> None:
    names = sql.Identifier(table.name), sql.Identifier(DELETED)
    connection.execute(sql.SQL("CREATE TEMP TABLE changes (LIKE {}, {} boolean) ON COMMIT DROP").format(*names))
    postgres.copy_rows(connection, "changes", changes)
