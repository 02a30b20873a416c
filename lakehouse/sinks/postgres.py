"""PostgreSQL as a sink that writes each micro-batch once, in one transaction.

The server is the embedded one that `lake up` starts, or the one that LAKE_POSTGRES_DSN names.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from lakehouse.contract.tables import Table
from lakehouse.errors import RefusedError, UnavailableError
from lakehouse.settings import settings
from lakehouse.sinks import postgres_address, postgres_login
from lakehouse.sinks.postgres_values import from_json, nested, stored_as_json, to_postgres
from lakehouse.streaming.batch import Batch

WRITER, READER = "stream_writer", "reader"
OWNER = "lake"
Connection = psycopg.Connection[dict[str, Any]]


def embedded() -> bool:
    """Whether the server is the one that `lake up` starts."""
    return settings().postgres_dsn == "embedded"


def default_folder() -> Path:
    """The folder of the embedded server."""
    return settings().var / "postgres"


def passfile(folder: Path) -> Path:
    """The file of the embedded server's passwords, in libpq's format."""
    return folder / "credentials/passwords"


def dsn(user: str = OWNER) -> str:
    """The DSN of the embedded server, which names its password file, or that of LAKE_POSTGRES_DSN.

    It may contain a password: use it to connect, never show it. Raises UnavailableError when the embedded server does
    not run, UsageError when the DSN cannot be read.
    """
    if not embedded():
        postgres_login.words(settings().postgres_dsn)
        return settings().postgres_dsn
    if (address := postgres_address.read()) is None:
        raise UnavailableError(
            "There is no PostgreSQL: the embedded server is not running.",
            "Start it with `lake up`, or set LAKE_POSTGRES_DSN.",
        )
    where: dict[str, Any] = {"host": "127.0.0.1", "port": address.port, "dbname": "postgres", "user": user}
    return make_conninfo(**where, passfile=str(passfile(default_folder())))


@contextmanager
def answering() -> Iterator[None]:
    """A block in which a server that does not answer or refuses a right raises UnavailableError."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise postgres_login.away(dsn(), error) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise postgres_login.refused(dsn(), error, (WRITER, READER)) from None


def connect(schema: str = "public", role: str | None = WRITER) -> Connection:
    """A connection in UTC with the rights of a role. Raises UnavailableError when the server does not answer."""
    with answering():
        connection = psycopg.connect(dsn(), autocommit=True, connect_timeout=5, row_factory=dict_row)
        try:
            postgres_login.use(connection, schema, role)
        except BaseException:
            connection.close()
            raise
    connection.autocommit = False  # set before: a rollback would undo these settings
    return connection


def names(columns: Sequence[str]) -> sql.Composable:
    """Columns as a list of identifiers."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def begin(connection: Connection, batch: Batch) -> str:
    """Whether the batch is `new`, the `first` of its checkpoint, or `written` already. Locks out other writers.

    Raises RefusedError for an old batch (of a process that lives on), and when PostgreSQL lacks earlier batches.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || %s))", [batch.query])
    commits = connection.execute(
        "SELECT generation, batch_id FROM stream_commits WHERE query = %s ORDER BY committed_at", [batch.query]
    ).fetchall()
    last_batches = {row["generation"]: row["batch_id"] for row in commits}
    last = last_batches.get(batch.generation, -1)
    newest = commits[-1]["generation"] if commits else batch.generation
    if (batch.generation in last_batches and newest != batch.generation) or batch.batch_id < last:
        raise RefusedError(
            f"Batch {batch.batch_id} of query {batch.query} is older than what PostgreSQL has.",
            "Stop the process that wrote it.",
        )
    if batch.batch_id > last + 1:
        raise RefusedError(
            f"PostgreSQL has batches of query {batch.query} up to {last}, not up to {batch.batch_id - 1}.",
            f"Restore PostgreSQL from a newer backup, or rebuild: `lake rebuild <domain>.{batch.query}`.",
        )
    return "written" if batch.batch_id == last else "first" if batch.generation not in last_batches else "new"


def record_commit(connection: Connection, batch: Batch) -> None:
    """Record the batch as committed; the last statement of its transaction."""
    connection.execute(
        "INSERT INTO stream_commits VALUES (%s, %s, %s, clock_timestamp()) ON CONFLICT (query, generation) DO UPDATE "
        "SET batch_id = excluded.batch_id, committed_at = excluded.committed_at "
        "WHERE stream_commits.batch_id < excluded.batch_id",
        [batch.query, batch.generation, batch.batch_id],
    )


def upsert(connection: Connection, table: Table, select: str, values: Mapping[str, Any] | None = None) -> None:
    """Insert the rows of a fixed query, or replace those with the same key; values are absolute, columns the table's.

    A row of a later batch of the same checkpoint stays.
    """
    others = [name for name in table.columns if name not in table.keys]
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others)
    statement = "INSERT INTO {table} AS target ({columns}) {select} ON CONFLICT ({keys}) DO UPDATE SET {sets} {guard}"
    connection.execute(
        sql.SQL(statement).format(
            table=sql.Identifier(table.name),
            columns=names(list(table.columns)),
            select=sql.SQL(select),
            keys=names(table.keys),
            sets=sets,
            guard=sql.SQL(_GUARD if "generation" in others else ""),
        ),
        values,
    )


_GUARD = "WHERE target.generation <> excluded.generation OR target.batch_id <= excluded.batch_id"


def copy_rows(connection: Connection, table: str, rows: pa.Table) -> None:
    """Append rows to a table."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names(rows.column_names))
    with connection.cursor().copy(statement) as out:
        for row in zip(*(_values(column) for column in rows.columns), strict=True):
            out.write_row(row)


def _values(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return [to_postgres(value, column.type) for value in values] if nested(column.type) else values


def truncate(connection: Connection, tables: Sequence[Table]) -> None:
    """Delete all rows of the tables, in the open transaction."""
    connection.execute(sql.SQL("TRUNCATE {}").format(names([table.name for table in tables])))


def read_rows(table: Table) -> list[dict[str, Any]]:
    """All rows of the table; none before a stream has created it. Raises UnavailableError without an answer."""
    with connect(table.domain, role=None) as connection, answering():
        if connection.execute("SELECT to_regclass(%s)", [table.name]).fetchone() == {"to_regclass": None}:
            return []
        return _fetch(connection, table, sql.SQL("SELECT {} FROM {}"))


def drop_schema(schema: str) -> None:
    """Delete the schema and all its tables. Raises UnavailableError when the server does not answer."""
    with connect(role=None) as connection, answering():
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def written_by(connection: Connection, table: Table, batch: Batch) -> list[dict[str, Any]]:
    """The rows of the table that this batch changed last."""
    statement = sql.SQL("SELECT {} FROM {} WHERE generation = %s AND batch_id = %s")
    return _fetch(connection, table, statement, [batch.generation, batch.batch_id])


def _fetch(
    connection: Connection, table: Table, statement: sql.SQL, values: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """Rows in the types of the contract: JSON is a text, arrays and structs are lists and dicts."""
    of_json = {field.name: field.type for field in table.arrow_schema if stored_as_json(table, field.name)}
    columns = [
        sql.SQL("{0}::text AS {0}" if name in of_json else "{0}").format(sql.Identifier(name)) for name in table.columns
    ]
    filled = statement.format(sql.SQL(", ").join(columns), sql.Identifier(table.name))
    rows = connection.execute(filled, values or None).fetchall()
    for name, kind in of_json.items():
        if nested(kind):
            for row in rows:
                row[name] = None if row[name] is None else from_json(row[name], kind)
    return rows
