"""PostgreSQL as a sink that writes each micro-batch once, in one transaction.

The server is the one that `lake up` starts (postgres_server.py), or the one that LAKE_POSTGRES_DSN names.
"""

import re
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
from lakehouse.core import run_state
from lakehouse.errors import RefusedError, UnavailableError
from lakehouse.settings import settings
from lakehouse.sinks import postgres_login
from lakehouse.streaming.batch import Batch

WRITER, READER = "stream_writer", "reader"
OWNER = "lake"
_TYPES = {
    "STRING": "text",
    "INT": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamptz",
}
Connection = psycopg.Connection[dict[str, Any]]


def embedded() -> bool:
    """Whether the server is the one that `lake up` starts."""
    return settings().postgres_dsn == "embedded"


def default_folder() -> Path:
    """Where the embedded server lives."""
    return settings().var / "postgres"


def passfile(folder: Path) -> Path:
    """The embedded server's passwords, as libpq reads them."""
    return folder / "credentials/passwords"


def address_file() -> Path:
    """Says on which port the embedded server listens."""
    return settings().run / "postgres.json"


def dsn(user: str = OWNER) -> str:
    """How to connect: to the embedded server with its password in a file, to another as LAKE_POSTGRES_DSN says.

    That one may hold a password, so it is for connecting alone. Raises UnavailableError when no server is known,
    UsageError when the DSN cannot be read.
    """
    if not embedded():
        postgres_login.words(settings().postgres_dsn)
        return settings().postgres_dsn
    port = run_state.read_json(address_file()).get("port")
    if port is None:
        raise UnavailableError(
            "No PostgreSQL is known: the embedded one is not running.",
            "Start it with `lake up`, or set LAKE_POSTGRES_DSN.",
        )
    where = {"host": "127.0.0.1", "port": port, "dbname": "postgres", "user": user}
    return make_conninfo(**where, passfile=str(passfile(default_folder())))


@contextmanager
def answering() -> Iterator[None]:
    """Within it a server that is away, or that does not let us, raises UnavailableError."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise postgres_login.away(dsn(), error) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise postgres_login.refused(dsn(), error, (WRITER, READER)) from None


def connect(schema: str = "public", role: str | None = WRITER) -> Connection:
    """A connection in UTC with the rights of a role. Raises UnavailableError when the server is away."""
    with answering():
        connection = psycopg.connect(dsn(), autocommit=True, connect_timeout=5, row_factory=dict_row)
        try:
            postgres_login.use(connection, schema, role)
        except BaseException:
            connection.close()
            raise
    connection.autocommit = False  # a rollback takes back what was set in its transaction
    return connection


def create(schema: str, tables: Sequence[Table], meanings: Mapping[str, str]) -> None:
    """Make roles, schema and tables that are not there yet: types, keys and comments as the tables declare them."""
    with connect(role=None) as connection, answering():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [schema])
        for role in (WRITER, READER):
            _role(connection, role)
        if embedded():
            passwords = dict(line.split(":")[3:] for line in passfile(default_folder()).read_text().split())
            # Hashed here: a statement that fails is written to the server's log.
            hashed = connection.pgconn.encrypt_password(passwords[READER].encode(), READER.encode(), b"scram-sha-256")
            name, password = sql.Identifier(READER), sql.Literal(hashed.decode())
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, password))
        if connection.execute("SELECT to_regnamespace(%s) AS it", [schema]).fetchone() == {"it": None}:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        commits = Table(schema, "stream_commits", _COMMITS, ("query", "generation"), "newest batch of each query", {})
        for table in (*tables, commits):
            _create(connection, table, meanings)
        for grant in _GRANTS:
            names = {name: sql.Identifier(name) for name in (WRITER, READER)}
            connection.execute(sql.SQL(grant).format(schema=sql.Identifier(schema), **names))


def _role(connection: Connection, role: str) -> None:
    """Make the role if it is not there, and the user one who may become it: since PostgreSQL 16 its maker may not."""
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    may = "SET" if connection.info.server_version >= 160_000 else "MEMBER"
    if connection.execute("SELECT pg_has_role(%s, %s) AS may", [role, may]).fetchone() == {"may": False}:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))


_COMMITS = {"query": "STRING", "generation": "STRING", "batch_id": "BIGINT", "committed_at": "TIMESTAMP"}
_GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {stream_writer}, {reader}",
    "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA {schema} TO {stream_writer}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
)


def _create(connection: Connection, table: Table, meanings: Mapping[str, str]) -> None:
    columns = [
        sql.SQL("{} {} NOT NULL" if name in table.keys else "{} {}").format(sql.Identifier(name), _type(kind))
        for name, kind in table.columns.items()
    ]
    key = sql.SQL("PRIMARY KEY ({})").format(_names(table.keys))
    place = sql.Identifier(table.domain, table.name)
    parts = sql.SQL(", ").join([*columns, key])
    connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(place, parts))
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(place, sql.Literal(table.about)))
    for name in table.columns:
        column = sql.Identifier(table.domain, table.name, name)
        connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(column, sql.Literal(meanings.get(name))))


def _type(kind: str) -> sql.Composable:
    if decimal := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", kind):
        return sql.SQL("numeric({}, {})").format(*map(int, decimal.groups()))
    return sql.SQL(_TYPES[kind])


def _names(names: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def begin(connection: Connection, batch: Batch) -> str:
    """Whether the batch is `new`, the `first` of its checkpoint, or one that is `there` already; others wait meanwhile.

    Raises RefusedError for a batch of the past (of a zombie), and when PostgreSQL lacks the batches before it.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || %s))", [batch.query])
    commits = connection.execute(
        "SELECT generation, batch_id FROM stream_commits WHERE query = %s ORDER BY committed_at", [batch.query]
    ).fetchall()
    last_batches = {row["generation"]: row["batch_id"] for row in commits}
    last = last_batches.get(batch.generation, -1)
    newest = commits[-1]["generation"] if commits else batch.generation
    if (batch.generation in last_batches and newest != batch.generation) or batch.batch_id < last:
        raise RefusedError(f"Batch {batch.batch_id} of query {batch.query} is one of the past.", "Stop that process.")
    if batch.batch_id > last + 1:
        raise RefusedError(
            f"PostgreSQL holds batches of query {batch.query} up to {last}, the next is {batch.batch_id}.",
            f"Put its copy back, or begin anew: `lake rebuild <domain>.{batch.query}`.",
        )
    return "there" if batch.batch_id == last else "first" if batch.generation not in last_batches else "new"


def note(connection: Connection, batch: Batch) -> None:
    """Note the batch as committed; the last statement of its transaction."""
    connection.execute(
        "INSERT INTO stream_commits VALUES (%s, %s, %s, clock_timestamp()) ON CONFLICT (query, generation) DO UPDATE "
        "SET batch_id = excluded.batch_id, committed_at = excluded.committed_at "
        "WHERE stream_commits.batch_id < excluded.batch_id",
        [batch.query, batch.generation, batch.batch_id],
    )


def upsert(connection: Connection, table: Table, select: str, values: Mapping[str, Any] | None = None) -> None:
    """Write the rows of a fixed query and its values: absolute, with all columns of the table, over those with the key.

    A row that a later batch of the same checkpoint has written stays.
    """
    others = [name for name in table.columns if name not in table.keys]
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others)
    statement = "INSERT INTO {table} AS target ({columns}) {select} ON CONFLICT ({keys}) DO UPDATE SET {sets} {guard}"
    connection.execute(
        sql.SQL(statement).format(
            table=sql.Identifier(table.name),
            columns=_names(list(table.columns)),
            select=sql.SQL(select),
            keys=_names(table.keys),
            sets=sets,
            guard=sql.SQL(_GUARD if "generation" in others else ""),
        ),
        values,
    )


_GUARD = "WHERE target.generation <> excluded.generation OR target.batch_id <= excluded.batch_id"


def copy(connection: Connection, table: str, rows: pa.Table) -> None:
    """Append rows to a table."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(rows.column_names))
    with connection.cursor().copy(statement) as out:
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            out.write_row(row)


def empty(connection: Connection, tables: Sequence[Table]) -> None:
    """Take all rows out of the tables, in the open transaction."""
    connection.execute(sql.SQL("TRUNCATE {}").format(_names([table.name for table in tables])))


def read_rows(table: Table) -> list[dict[str, Any]]:
    """All rows of the table; none before a stream has made it. Raises UnavailableError when the server is away."""
    with connect(table.domain, role=None) as connection, answering():
        if connection.execute("SELECT to_regclass(%s)", [table.name]).fetchone() == {"to_regclass": None}:
            return []
        statement = sql.SQL("SELECT {} FROM {}").format(_names(list(table.columns)), sql.Identifier(table.name))
        return connection.execute(statement).fetchall()


def drop(schema: str) -> None:
    """Delete the schema with all that is in it. Raises UnavailableError when the server is away."""
    with connect(role=None) as connection, answering():
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def written_by(connection: Connection, table: Table, batch: Batch) -> list[dict[str, Any]]:
    """The table's rows that this batch was the last to change."""
    statement = sql.SQL("SELECT {} FROM {} WHERE generation = %s AND batch_id = %s")
    filled = statement.format(_names(list(table.columns)), sql.Identifier(table.name))
    return connection.execute(filled, [batch.generation, batch.batch_id]).fetchall()
