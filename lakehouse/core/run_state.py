"""Small JSON files under var/run that tell other processes what runs: written aside, then renamed."""

import errno
import json
from pathlib import Path
from typing import Any

from lakehouse.core import files
from lakehouse.settings import settings


def processes_file() -> Path:
    """What `lake up` started: supervisor_pid, started_at, domains, bootstrap_servers, dashboard_url, processes."""
    return settings().run / "processes.json"


def progress_file(domain: str, query: str) -> Path:
    """The last progress of a streaming query as Spark reports it, with `written_at`."""
    return settings().run / "progress" / f"{domain}.{query}.json"


def spark_file(domain: str) -> Path:
    """The address of the Spark UI of the domain's stream: {"ui": url}."""
    return settings().run / f"{domain}.spark.json"


def write_json(path: Path, value: Any) -> None:
    """Replace the file's content in one step; it says what runs now, so it need not outlast a crash.

    On a full disk the old content is written over, so that Health hears of it: that takes no space. Raises OSError,
    the disk's own, when there is no old file or one that is too short.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.replace_json(path, value, through=False)
    except OSError as error:
        text = json.dumps(value, separators=(",", ":"), default=str).encode()
        size = path.stat().st_size if path.exists() else 0
        if error.errno != errno.ENOSPC or len(text) > size:
            raise
        with path.open("r+b") as file:
            file.write(text.ljust(size))


def read_json(path: Path) -> dict[str, Any]:
    """The file's content; empty when it is not there or not readable."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
