"""Files that outlast a crash: written through to the disk, replaced in one step, with checksums."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from lakehouse.core import kill_points

SCARCE = 50_000_000  # bytes; Kafka alone asks for some megabytes when it starts


def is_full(folder: Path) -> bool:
    """Whether the disk under the folder is so full that a failure may be due to it."""
    return shutil.disk_usage(folder).free < SCARCE


def sync(path: Path) -> None:
    """Write the file's content, or the folder's list of names, through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Write the folder and everything in it through to the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def replace_json(path: Path, value: Any, through: bool = True) -> None:
    """Replace the file's content in one step: a reader finds the old or the new one.

    With `through` that is true after a crash of the machine as well. Values that JSON does not know become text.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1, default=str))
    if through:
        sync(aside)
        kill_points.point(f"aside.{path.name}", 0)
    aside.replace(path)
    if through:
        kill_points.point(f"replaced.{path.name}", 0)
        sync(path.parent)


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; only its owner can ever read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    aside.replace(path)


def files(folder: Path) -> list[str]:
    """Every file in the folder, as sorted paths relative to it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def sha256(path: Path) -> str:
    """The file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
