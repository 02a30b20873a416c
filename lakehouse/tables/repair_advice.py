"""What repairs a table that cannot be read. Never what deletes events: each fault has its own way back."""

import re

from pyarrow import ArrowInvalid

from lakehouse.contract.discovery import load_all
from lakehouse.contract.tables import Table
from lakehouse.tables import commit_files

_NEWER = re.compile(
    r"is not supported|not yet supported|Unsupported (minimum )?(reader|feature)|protocol", re.IGNORECASE
)


def repair(table: Table, error: BaseException) -> str:
    """What to do about the error that reading the table gave, as a sentence or two."""
    try:
        return _repair(table, error)
    except OSError as another:  # of a look at the table's files
        return f"Mend that first: {another}."


def _repair(table: Table, error: BaseException) -> str:
    message = str(error)
    if isinstance(error, PermissionError) or "ermission denied" in message:
        return f"Give the user who reads it the right to: {table.path}."
    if "it has no column" in message:
        return "Another version of the code wrote it: run that one, or bring the table to this one's columns."
    if _NEWER.search(message) and not commit_files.damage(table.path):
        newer = "Another program has given it a newer protocol; nothing is lost."
        return f"{newer} Read it with that program, or take the feature off there: ALTER TABLE … DROP FEATURE."
    if broken := commit_files.damage(table.path):
        return f"{broken}. {_way_back(table)}"
    if isinstance(error, FileNotFoundError | ArrowInvalid) or "No such file" in message or "not found" in message:
        return f"A file of it is lost or damaged. {_way_back(table)}"
    return f"If it stays so: `lake audit {table.domain}` says what is whole."


def _way_back(table: Table) -> str:
    """For a lost or damaged file: a copy; else whoever wrote the table writes it again."""
    copy = "Put the file back from a copy; without one,"
    if query := _query(table):
        return f"{copy} `lake rebuild {query}` reads its rows from the topic again."
    return f"{copy} move the folder {table.path} away: what a job computes is written again by `lake nightly`."


def _query(table: Table) -> str:
    """The streaming query that writes the table, as <domain>.<query>; empty when none does."""
    queries = (
        f"{domain.name}.{name}"
        for domain in load_all()
        for name, stores in domain.stores.items()
        if (table.domain, table.name) in {(other.domain, other.name) for other in stores.tables}
    )
    return next(queries, "")
