"""Advice for a table that cannot be read. It never deletes events: each fault has its own repair."""

import re

from pyarrow import ArrowInvalid

from lakehouse.contract.discovery import load_all
from lakehouse.contract.tables import Table
from lakehouse.tables import commit_files

_NEWER = re.compile(
    r"is not supported|not yet supported|Unsupported (minimum )?(reader|feature)|protocol", re.IGNORECASE
)


def advice_for(table: Table, error: BaseException) -> str:
    """What to do about an error of reading the table, in a sentence or two."""
    try:
        return _advice(table, error)
    except OSError as another:  # of reading the table's log
        return f"Repair that first: {another}."


def _advice(table: Table, error: BaseException) -> str:
    message = str(error)
    if isinstance(error, PermissionError) or "ermission denied" in message:
        return f"Give the user who reads it the rights to {table.path}."
    if "it has no column" in message:
        return "Another version of the code wrote it: run that version, or give the table this version's columns."
    if _NEWER.search(message) and not commit_files.find_damage(table.path):
        newer = "Another program has raised its protocol; nothing is lost."
        return f"{newer} Read it with that program, or drop the feature with it: ALTER TABLE … DROP FEATURE."
    if broken := commit_files.find_damage(table.path):
        return f"{broken}. {_restore_advice(table)}"
    if isinstance(error, FileNotFoundError | ArrowInvalid) or "No such file" in message or "not found" in message:
        return f"One of its files is lost or damaged. {_restore_advice(table)}"
    return f"If that persists, `lake audit {table.domain}` shows which data is intact."


def _restore_advice(table: Table) -> str:
    """The repair of a lost or damaged file: a copy, else its writer writes the table again."""
    copy = "Restore the file from a copy; without one,"
    if query := _query(table):
        return f"{copy} `lake rebuild {query}` reads its rows from the topic again."
    return f"{copy} move the folder {table.path} away: `lake nightly` computes the table again."


def _query(table: Table) -> str:
    """The streaming query that writes the table, as <domain>.<query>; empty when none does."""
    queries = (
        f"{domain.name}.{name}"
        for domain in load_all()
        for name, query_tables in domain.query_tables.items()
        if (table.domain, table.name) in {(other.domain, other.name) for other in query_tables.tables}
    )
    return next(queries, "")
