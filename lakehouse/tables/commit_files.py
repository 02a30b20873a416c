"""Damaged commit files of a Delta table: finding them before a reader trusts them, and replacing them.

Delta reads a commit file of zero bytes, as a power loss leaves it, as an empty commit: its rows are lost silently.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path


def find_damage(table: Path) -> str:
    """The damage of the table's commit files, as a phrase that names the file; empty when there is none."""
    for file, what in _damaged(table):
        return f"{file} {what}"
    versions = sorted(_version(file) for file in _commits(table))
    first = max(_checkpoint(table), min(versions, default=0))
    missing = sorted(set(range(first + 1, max(versions, default=0))) - set(versions))
    return f"{table / '_delta_log' / f'{missing[0]:020}.json'} is missing" if missing else ""


def replace_damaged(table: Path) -> list[Path]:
    """Replace each damaged commit file by an empty commit; the table then lacks its rows.

    Returns the damaged files, renamed to *.damaged. The first commit has the table's columns: when it is damaged,
    nothing is done.
    """
    broken = [file for file, _ in _damaged(table)]
    if any(_version(file) == 0 for file in broken):
        return []
    moved = []
    for file in broken:
        aside = file.with_suffix(".json.damaged")
        file.replace(aside)
        moved.append(aside)
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)  # Hadoop's checksum of the damaged file
        info = {"timestamp": int(time.time() * 1000), "operation": "REBUILD", "operationParameters": {}}
        file.write_text(json.dumps({"commitInfo": info}) + "\n")
        for checksum in file.parent.glob("*.crc"):  # Delta's checksums of the table with the lost rows
            number = checksum.name.strip(".").split(".", 1)[0]
            if number.isdigit() and int(number) >= _version(file) and not checksum.name.endswith(".json.crc"):
                checksum.unlink()
    return moved


def _damaged(table: Path) -> Iterator[tuple[Path, str]]:
    since = _checkpoint(table)
    for file in sorted(_commits(table)):
        if file.stat().st_size == 0:
            yield file, "has no bytes"
        elif _version(file) > since and not _whole(file):
            yield file, "is cut off or is not JSON"


def _commits(table: Path) -> list[Path]:
    log = table / "_delta_log"
    return [file for file in log.glob("*.json") if file.stem.isdigit()] if log.is_dir() else []


def _version(file: Path) -> int:
    return int(file.stem)


def _whole(file: Path) -> bool:
    try:
        return all(isinstance(json.loads(line), dict) for line in file.read_bytes().splitlines())
    except ValueError:
        return False


def _checkpoint(table: Path) -> int:
    """The version of the newest checkpoint; -1 when there is none."""
    try:
        return int(json.loads((table / "_delta_log/_last_checkpoint").read_text())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1
