"""The roles, schema and tables of a domain in PostgreSQL: created at a start, with the contract's new columns added."""

import re
from collections.abc import Mapping, Sequence

from psycopg import sql

from lakehouse.contract.tables import Table
from lakehouse.sinks.postgres import (
    READER,
    WRITER,
    Connection,
    answering,
    connect,
    default_folder,
    embedded,
    names,
    passfile,
)
from lakehouse.sinks.postgres_values import stored_as_json
from lakehouse.tables.schema_changes import refuse_other_columns, refuse_other_key

_TYPES = {  # as PostgreSQL itself names them
    "STRING": "text",
    "BINARY": "bytea",
    "BOOLEAN": "boolean",
    "INT": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp with time zone",
}


def create(schema: str, tables: Sequence[Table], meanings: Mapping[str, str]) -> None:
    """Create missing roles, schema and tables, with the types, keys and comments that the tables declare.

    A table gets the columns that it lacks. Raises RefusedError when a contract has changed otherwise.
    """
    with connect(role=None) as connection, answering():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [schema])
        for role in (WRITER, READER):
            _role(connection, role)
        if embedded():
            passwords = dict(line.split(":")[3:] for line in passfile(default_folder()).read_text().split())
            # Hashed here: the server logs a statement that fails.
            hashed = connection.pgconn.encrypt_password(passwords[READER].encode(), READER.encode(), b"scram-sha-256")
            name, password = sql.Identifier(READER), sql.Literal(hashed.decode())
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, password))
        if connection.execute("SELECT to_regnamespace(%s) AS it", [schema]).fetchone() == {"it": None}:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        commits = Table(schema, "stream_commits", _COMMITS, ("query", "generation"), "newest batch of each query", {})
        for table in (*tables, commits):
            _create(connection, table, meanings)
        for grant in _GRANTS:
            roles = {name: sql.Identifier(name) for name in (WRITER, READER)}
            connection.execute(sql.SQL(grant).format(schema=sql.Identifier(schema), **roles))


def _role(connection: Connection, role: str) -> None:
    """Create the role if it is missing and let the user become it: since PostgreSQL 16 its creator may not."""
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
    place = sql.Identifier(table.domain, table.name)
    stored = _stored_columns(connection, place)
    if stored:
        _add_new_columns(connection, table, stored)
    else:
        columns = [
            sql.SQL("{} {} NOT NULL" if name in table.keys else "{} {}").format(
                sql.Identifier(name), _type(table, name)
            )
            for name in table.columns
        ]
        parts = sql.SQL(", ").join([*columns, sql.SQL("PRIMARY KEY ({})").format(names(table.keys))])
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(place, parts))
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(place, sql.Literal(table.about)))
    for name in table.columns:
        column = sql.Identifier(table.domain, table.name, name)
        connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(column, sql.Literal(meanings.get(name))))


def _add_new_columns(connection: Connection, table: Table, stored: Mapping[str, str]) -> None:
    """Add the columns that the contract has and the table lacks. Raises RefusedError for any other change."""
    where, place = " in PostgreSQL", sql.Identifier(table.domain, table.name)
    refuse_other_columns(table, stored, {name: column_type(table, name) for name in table.columns}, where)
    refuse_other_key(table, _stored_key(connection, place), where)
    for name in table.columns:
        if name not in stored:
            column = (place, sql.Identifier(name), _type(table, name))
            connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(*column))


def _stored_columns(connection: Connection, place: sql.Identifier) -> dict[str, str]:
    """Name and type of each column as the server has them; none when there is no such table."""
    found = connection.execute(
        "SELECT attname AS name, format_type(atttypid, atttypmod) AS kind FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [place.as_string(connection)],
    )
    return {row["name"]: row["kind"] for row in found}


def _stored_key(connection: Connection, place: sql.Identifier) -> list[str]:
    found = connection.execute(
        "SELECT attname AS name FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) "
        "WHERE indrelid = to_regclass(%s) AND indisprimary",
        [place.as_string(connection)],
    )
    return [row["name"] for row in found]


def column_type(table: Table, column: str) -> str:
    """The type of a column in PostgreSQL, as the server names it."""
    if stored_as_json(table, column):
        return "jsonb"
    if decimal := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", table.columns[column]):
        return f"numeric({decimal[1]},{decimal[2]})"
    return _TYPES[table.columns[column]]


def _type(table: Table, column: str) -> sql.SQL:
    return sql.SQL(column_type(table, column))
