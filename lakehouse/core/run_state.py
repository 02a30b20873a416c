"""Small JSON files under var/run by which processes say to each other what runs; written aside, then renamed.

What has a record type here carries the number of its `format`; files without one, of versions before, are read too.
"""

import errno
import json
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lakehouse.core import files, records
from lakehouse.core.states import ProcessState
from lakehouse.errors import NewerFormatError
from lakehouse.settings import settings

FORMAT = 1


@dataclass(frozen=True)
class ProcessRecord:
    """A process of `lake up`, as its supervisor writes it; `queries` are those it runs, by full name."""

    name: str = ""
    pid: int | None = None
    create_time: float | None = None
    stop_signal: int = int(signal.SIGTERM)
    state: ProcessState = ProcessState.NOT_STARTED
    restarts: int = 0
    started_at: str = ""
    last_error: str = ""
    queries: tuple[str, ...] = ()


@dataclass(frozen=True)
class LakeRecord:
    """What `lake up` has started: the content of processes.json."""

    supervisor_pid: int | None = None
    supervisor_create_time: float | None = None
    started_at: str = ""
    domains: tuple[str, ...] = ()
    bootstrap_servers: str | None = None
    dashboard_url: str | None = None
    processes: tuple[ProcessRecord, ...] = ()
    format: int = FORMAT


def processes_file() -> Path:
    """What `lake up` has started: a LakeRecord."""
    return settings().run / "processes.json"


def progress_file(domain: str, query: str) -> Path:
    """The last progress of a streaming query as Spark reports it, with what `streaming.query_state.Progress` adds."""
    return settings().run / "progress" / f"{domain}.{query}.json"


def spark_file(domain: str) -> Path:
    """The address of the Spark UI of the domain's stream."""
    return settings().run / f"{domain}.spark.json"


def java_file(name: str) -> Path:
    """The Java process of a query that answers on its own, so that the next run can end one that was left behind."""
    return settings().run / "java" / f"{name}.json"


def read_lake() -> LakeRecord:
    """What the last `lake up` has started; an empty record where there is none.

    Raises NewerFormatError when a newer version of the platform wrote it.
    """
    found = read_json(processes_file())
    records.check_format(found, FORMAT, f"The file {processes_file()}")
    listed = [each for each in found.get("processes") or [] if isinstance(each, dict)]
    kept = _known(LakeRecord, found) | {"domains": tuple(found.get("domains") or ()), "format": found.get("format", 0)}
    return LakeRecord(**kept | {"processes": tuple(_process(each) for each in listed)})


def write_lake(record: LakeRecord) -> None:
    """Say to other processes what runs; an address is in the file once it is known. Raises OSError, the disk's own."""
    write_json(processes_file(), {name: value for name, value in asdict(record).items() if value is not None})


def _process(values: Mapping[str, Any]) -> ProcessRecord:
    try:
        state = ProcessState(str(values.get("state")))
    except ValueError:
        state = ProcessState.NOT_STARTED
    queries = tuple(values.get("queries") or ())
    return ProcessRecord(**_known(ProcessRecord, values) | {"state": state, "queries": queries})


def _known(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the record has fields for; what is null in the file gets the field's default."""
    return {field.name: values[field.name] for field in fields(record) if values.get(field.name) is not None}


def spark_ui(domain: str) -> str:
    """The address of the Spark UI of the domain's stream; empty when there is none.

    One that a newer version of the platform wrote counts as none: a page without this link is better than no page.
    """
    found = read_json(spark_file(domain))
    with suppress(NewerFormatError):
        records.check_format(found, FORMAT, f"The file {spark_file(domain)}")
        return str(found.get("ui") or "")
    return ""


def write_spark_ui(domain: str, url: str | None) -> None:
    """Say to other processes where the Spark UI of the domain's stream is."""
    write_json(spark_file(domain), {"format": FORMAT, "ui": url})


def write_json(path: Path, value: Any) -> None:
    """Replace the file's content in one step. It describes the present, so it need not outlast a crash.

    On a full disk the old content is overwritten, which takes no space, so that Health learns of the full disk. Raises
    OSError, the disk's own, when there is no old file or when it is too short.
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
    """The file's content; empty when the file is missing or not readable."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
