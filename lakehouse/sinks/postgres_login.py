"""How one gets into PostgreSQL: the words of a DSN, with secrets that are shown nowhere, and what `psql` needs."""

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
    """The DSN's words by name, of libpq's form or of a URL. Raises UsageError, which shows nothing of it."""
    try:
        values = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.Error:
        values = {"port": "?"}
    # A password with @ or / in it spills over into what comes after it.
    spilt = any("@" in values.get(name, "") for name in ("host", "port")) or (
        "://" in dsn and "@" in values.get("dbname", "")
    )
    if spilt or not re.fullmatch(r"[0-9,]*", values.get("port", "")):
        raise UsageError(
            "LAKE_POSTGRES_DSN cannot be read (it is not shown: it may hold a password).",
            "In a URL a character such as @ : / or % in a password is written %40 %3A %2F %25; in libpq's words "
            "a value with blanks or quotes stands in '…'.",
        )
    return values


def public(dsn: str) -> str:
    """The DSN in libpq's words, without its secrets."""
    return make_conninfo("", **{name: value for name, value in words(dsn).items() if name not in SECRETS})


def secrets_of(dsn: str) -> list[str]:
    """The values in it that nobody may see."""
    return [value for name, value in words(dsn).items() if name in SECRETS and value]


def without_secrets(dsn: str, text: str) -> str:
    """The text, which may quote the DSN, without its secrets."""
    for secret in secrets_of(dsn):
        text = text.replace(secret, "…")
    return text


def use(connection: "psycopg.Connection[object]", schema: str, role: str | None) -> None:
    """Set zone, schema and role. Statements, not startup options: a pooler refuses those, or passes over them."""
    path = sql.Identifier(schema).as_string(connection)
    connection.execute("SELECT set_config('TimeZone', 'UTC', false), set_config('search_path', %s, false)", [path])
    if role:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))


def psql(dsn: str, role: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The options and the environment with which psql gets into a server that is not ours, as the role.

    Secrets are in the environment, never in the options. Raises UnavailableError when the role is not to be had.
    """
    parts = words(dsn)
    if unsafe := [name for name in SECRETS[1:] if name in parts]:
        raise UsageError(
            f"The {unsafe[0]} in LAKE_POSTGRES_DSN cannot be handed to psql without showing it on a command line.",
            "Leave it out: a key file of mode 600 needs none.",
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
            f"This PostgreSQL is behind a pooler that takes no startup options; psql becomes {role} there by a start "
            "file, which -X passes over.",
            "Leave out -X.",
        )
    return ["-d", make_conninfo("", **parts)], {**env, "PSQLRC": str(_start_file(role))}


def _becomes(dsn: str, role: str, options: str) -> bool:
    """Whether the startup option gives the role; False when a statement must. Raises UnavailableError when neither."""
    try:
        with psycopg.connect(dsn, options=options, connect_timeout=5) as connection:
            if connection.execute("SELECT current_user").fetchone() == (role,):
                return True
    except psycopg.Error:
        pass  # what is wrong is told below, without the option
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    except psycopg.OperationalError as error:
        raise away(dsn, error) from None
    except psycopg.Error as error:
        raise UnavailableError(
            f"PostgreSQL does not make this user {role}: {without_secrets(dsn, server_message(error))}.",
            "The first start of the stream makes the role (`lake up production`); one that was there before needs "
            f"`GRANT {role} TO <user>`.",
        ) from None
    return False


def _start_file(role: str) -> Path:
    """What psql runs first: the user's own start file, then the change of role, which prints nothing."""
    own = Path(os.environ.get("PSQLRC") or Path.home() / ".psqlrc")
    lines = ["\\i '{}'".format(str(own).replace("'", "''"))] if own.is_file() else []
    lines.append(f"SELECT set_config('role', '{role}', false) AS lake_role \\gset")
    file = settings().run / "psqlrc"
    files.write_private(file, "\n".join([*lines, ""]))
    return file


def away(dsn: str, error: psycopg.Error) -> UnavailableError:
    """That the server does not answer, in its own words."""
    message = without_secrets(dsn, server_message(error))
    return UnavailableError(f"PostgreSQL does not answer: {message}.", "The query goes on when it does.")


def refused(dsn: str, error: psycopg.Error, roles: Sequence[str]) -> UnavailableError:
    """That the server does not let the user do what is needed, and what its administrator can do."""
    user = words(dsn).get("user", "<user>")
    grants = "; ".join([*(f"CREATE ROLE {role}" for role in roles), f"GRANT {', '.join(roles)} TO {user}"])
    return UnavailableError(
        f"PostgreSQL does not let user {user} do this: {server_message(error)}.",
        f"Have its administrator run what is missing of: {grants}; GRANT CREATE, TEMPORARY ON DATABASE <name> TO "
        f"{user}. The query goes on then.",
    )


def server_message(error: psycopg.Error) -> str:
    """What the server said, as the part of a sentence."""
    message = (error.diag.message_primary or str(error)).strip()
    return message.splitlines()[-1][:200].rstrip(".") if message else type(error).__name__
