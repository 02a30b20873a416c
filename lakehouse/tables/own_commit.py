"""Commits to a Delta table that neither library offers: some files in the place of others, with the same rows.

A commit is the file of its version, which is linked into the log: that fails when another writer was faster. Whatever
that one has appended stays; only when it has removed one of our files, or changed the table, ours is given up.
"""

import json
import os
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse.core import files


class ConcurrentError(Exception):
    """Another writer has removed one of the files, or changed the table's columns."""


def replace(delta: DeltaTable, old: Sequence[str], new: Sequence[Path], statistics: Sequence[str], what: str) -> int:
    """Commit `new` files in the place of `old` ones (paths as the log has them); returns the version.

    Raises ConcurrentError when that is no longer possible.
    """
    now, log = int(time.time() * 1000), Path(delta.table_uri.removeprefix("file://")) / "_delta_log"
    info = {"timestamp": now, "operation": "OPTIMIZE", "operationParameters": {"zOrderBy": what}}
    actions: list[dict[str, Any]] = [{"commitInfo": info | {"readVersion": delta.version(), "isBlindAppend": False}}]
    actions += [{"remove": {"path": path, "deletionTimestamp": now, "dataChange": False}} for path in old]
    for file in new:
        files.sync(file)
        actions.append({"add": _added(file, statistics)})
    return _commit(log, delta.version() + 1, "".join(json.dumps(action) + "\n" for action in actions), set(old))


def _added(file: Path, statistics: Sequence[str]) -> dict[str, Any]:
    status = file.stat()
    return {
        "path": file.name,
        "partitionValues": {},
        "size": status.st_size,
        "modificationTime": int(status.st_mtime * 1000),
        "dataChange": False,
        "stats": json.dumps(_statistics(file, statistics)),
    }


def _statistics(file: Path, columns: Sequence[str]) -> dict[str, Any]:
    """What Delta knows of a file: its number of rows; lowest, highest and number of null values of these columns."""
    metadata = pq.read_metadata(file)
    places = {metadata.schema.column(at).name: at for at in range(metadata.num_columns)}
    found: dict[str, Any] = {"numRecords": metadata.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name in columns:
        parts = [metadata.row_group(group).column(places[name]).statistics for group in range(metadata.num_row_groups)]
        found["nullCount"][name] = sum(part.null_count for part in parts)
        known = [part for part in parts if part.has_min_max]
        if known:
            found["minValues"][name] = _plain(min(part.min for part in known))
            found["maxValues"][name] = _plain(max(part.max for part in known))
    return found


def _plain(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if hasattr(value, "strftime") else value


def _commit(log: Path, version: int, text: str, removed: set[str]) -> int:
    aside = log / f".{uuid.uuid4()}.tmp"
    aside.write_text(text)
    try:
        files.sync(aside)
        while not _linked(aside, log / f"{version:020}.json"):
            _check(log / f"{version:020}.json", removed)
            version += 1
        files.sync(log)
    finally:
        aside.unlink()
    return version


def _linked(aside: Path, commit: Path) -> bool:
    try:
        os.link(aside, commit)
    except FileExistsError:
        return False
    return True


def _check(commit: Path, removed: set[str]) -> None:
    """Raises ConcurrentError when the other commit and ours exclude each other."""
    for line in commit.read_text().splitlines():
        action = json.loads(line)
        if "metaData" in action or "protocol" in action or action.get("remove", {}).get("path") in removed:
            raise ConcurrentError(f"{commit.name} was committed meanwhile")
