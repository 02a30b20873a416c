"""Connecting to PostgreSQL: the parameters of a DSN, whose secrets are never shown, and the options of `psql`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lakehouse.core import files
from lakehouse.errors import UnavailableError, UsageError
from lakehouse.settings import settings

SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
_SKIPS_RC = re.compile(r"-[AEHLSabelnqstwWxz01]*X|--no-ps.*")  # psql's -X, alone or among other flags
Words = dict[str, str]


def words(dsn: str) -> Words:
    """The parameters of a DSN (keywords or URL) by name. Raises UsageError, which shows no part of it."""
    try:
        values = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.Error:
        values = {"port": "?"}
    # An unescaped @ or / in a password ends it: the rest is read as host or database.
    spilt = any("@" in values.get(name, "") for name in ("host", "port")) or (
        "://" in dsn and "@" in values.get("dbname", "")
    )
    if spilt or not re.fullmatch(r"[0-9,]*", values.get("port", "")):
        raise UsageError(
            "LAKE_POSTGRES_DSN cannot be read (it is not shown: it may hold a password).",
            "In a URL a character such as @ : / or % in a password is written %40 %3A %2F %25; in the "
            "form host=… user=… a value with blanks or quotes is put in '…'.",
        )
    return values


def public(dsn: str) -> str:
    """The DSN in the form host=… user=…, without its secrets."""
    return make_conninfo("", **{name: value for name, value in words(dsn).items() if name not in SECRETS})


def secrets_of(dsn: str) -> list[str]:
    """The values in it that must not be shown."""
    return [value for name, value in words(dsn).items() if name in SECRETS and value]


def without_secrets(dsn: str, text: str) -> str:
    """The text, which may quote the DSN, without its secrets."""
    for secret in secrets_of(dsn):
        text = text.replace(secret, "…")
    return text


def use(connection: "psycopg.Connection[object]", schema: str, role: str | None) -> None:
    """Set zone, schema and role, by statements: a pooler refuses or ignores startup options."""
    path = sql.Identifier(schema).as_string(connection)
    connection.execute("SELECT set_config('TimeZone', 'UTC', false), set_config('search_path', %s, false)", [path])
    if role:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))


def psql(dsn: str, role: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The options and the environment for psql to log in to a server that is not ours, as the role.

    Secrets are in the environment, never in the options. Raises UnavailableError when the user may not become it.
    """
    parts = words(dsn)
    if unsafe := [name for name in SECRETS if name != "password" and name in parts]:
        raise UsageError(
            f"The {unsafe[0]} in LAKE_POSTGRES_DSN cannot be given to psql without showing it on a command line.",
            "Leave it out and use a key file of mode 600 without a password.",
        )
    env = {"PGTZ": "UTC"}
    if "password" in parts:
        env["PGPASSWORD"] = parts.pop("password")
    given = parts.get("options") or os.environ.get("PGOPTIONS", "")
    as_option = f"{given} -c role={role}".strip()
    if _becomes(dsn, role, as_option):  # it outlasts \c
        return ["-d", make_conninfo("", **{**parts, "options": as_option})], env
    if any(_SKIPS_RC.fullmatch(argument) for argument in arguments):
        raise UsageError(
            f"This PostgreSQL is behind a pooler that takes no startup options; psql becomes {role} by a start file, "
            "which -X skips.",
            "Leave out -X.",
        )
    return ["-d", make_conninfo("", **parts)], {**env, "PSQLRC": str(_start_file(role))}


def _becomes(dsn: str, role: str, options: str) -> bool:
    """Whether the startup option sets the role; False when a statement does. Raises UnavailableError when neither."""
    try:
        with psycopg.connect(dsn, options=options, connect_timeout=5) as connection:
            if connection.execute("SELECT current_user").fetchone() == (role,):
                return True
    except psycopg.Error:
        pass  # the attempt below, without the option, gives the error
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    except psycopg.OperationalError as error:
        raise away(dsn, error) from None
    except psycopg.Error as error:
        raise UnavailableError(
            f"PostgreSQL does not let this user become {role}: {without_secrets(dsn, server_message(error))}.",
            "The first start of the stream creates the role (`lake up production`); for an existing role run "
            f"`GRANT {role} TO <user>`.",
        ) from None
    return False


def _start_file(role: str) -> Path:
    """A start file for psql: runs the user's start file, then sets the role without output."""
    own = Path(os.environ.get("PSQLRC") or Path.home() / ".psqlrc")
    lines = ["\\i '{}'".format(str(own).replace("'", "''"))] if own.is_file() else []
    lines.append(f"SELECT set_config('role', '{role}', false) AS lake_role \\gset")
    file = settings().run / "psqlrc"
    files.write_private(file, "\n".join([*lines, ""]))
    return file


def away(dsn: str, error: psycopg.Error) -> UnavailableError:
    """The error for a server that does not answer, with its message."""
    message = without_secrets(dsn, server_message(error))
    return UnavailableError(f"PostgreSQL does not answer: {message}.", "The query continues when it does.")


def refused(dsn: str, error: psycopg.Error, roles: Sequence[str]) -> UnavailableError:
    """The error for a missing right, with the statements that the administrator can run."""
    user = words(dsn).get("user", "<user>")
    grants = "; ".join([*(f"CREATE ROLE {role}" for role in roles), f"GRANT {', '.join(roles)} TO {user}"])
    return UnavailableError(
        f"PostgreSQL does not let user {user} do this: {server_message(error)}.",
        f"Ask its administrator to run what is missing of: {grants}; GRANT CREATE, TEMPORARY ON DATABASE <name> TO "
        f"{user}. The query continues then.",
    )


def server_message(error: psycopg.Error) -> str:
    """The server's message, as the part of a sentence."""
    message = (error.diag.message_primary or str(error)).strip()
    return message.splitlines()[-1][:200].rstrip(".") if message else type(error).__name__
