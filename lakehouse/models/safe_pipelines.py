"""Allows only data and Spark's own stages in a model's folder: Spark instantiates the class that a stage names."""

import json
from collections.abc import Collection
from pathlib import Path

from lakehouse.errors import DataError

_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))  # how a pickle begins
_PACKAGES = tuple(
    f"org.apache.spark.ml.{name}."
    for name in ("classification", "clustering", "feature", "recommendation", "regression")
)
_PIPELINE = "org.apache.spark.ml.PipelineModel"
_LONGEST = 1024 * 1024  # of a stage's metadata, in bytes


def check_stages(folder: Path, classes: Collection[str] | None = None) -> None:
    """Check every stage's class and every file before Spark loads any. Raises DataError, which names the file.

    `classes` are the classes that the model may have; without them every stage of Spark is allowed.
    """
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.parent.name == "metadata" and file.name.startswith("part-"):
            named = _class(file)
            allowed = named in classes if classes is not None else named == _PIPELINE or named.startswith(_PACKAGES)
            if not allowed:
                raise DataError(f"{file} names the class {named[:120]!r}, which no model of ours has.")
        with file.open("rb") as content:
            if content.read(2) in _PICKLES:
                raise DataError(f"{file} is a pickle, which runs code when it is read; a model must be data.")


def _class(file: Path) -> str:
    if file.stat().st_size > _LONGEST:
        raise DataError(f"{file} is longer than the metadata of a stage can be ({_LONGEST:,} bytes).")
    try:
        return str(json.loads(file.read_text())["class"])
    except (ValueError, LookupError, TypeError):
        raise DataError(f"{file} does not say which class the stage is.") from None
