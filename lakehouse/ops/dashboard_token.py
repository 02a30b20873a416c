"""The token that the dashboard asks for when it listens beyond this machine."""

import secrets
from pathlib import Path

from lakehouse.core.files import write_private
from lakehouse.errors import UsageError
from lakehouse.settings import settings


def token_file() -> Path:
    """Where the token is: in a file that only its owner can read."""
    return settings().dashboard_token_file or settings().var / "dashboard.token"


def token() -> tuple[str, bool]:
    """The token, and whether it is new. Raises UsageError when the file has none."""
    file, made = token_file(), False
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
        made = True
    found = file.read_text().strip()
    if len(found) < 16 or not found.isascii() or not found.isprintable():
        raise UsageError(
            f"{file} has no token of at least 16 plain characters.", "Delete it: the next start makes one."
        )
    return found, made
