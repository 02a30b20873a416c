"""The manifest of a model version: a typed record, stored as JSON that holds its own checksum."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from lakehouse.contract.models import FORM, Better, Model
from lakehouse.core import records

NAME = "manifest.json"
FORMAT = 1  # what has none was written before there were formats, with the same fields


class Outcome(StrEnum):
    """What became of a version; the last two stand for a manifest that cannot be read, and are never stored."""

    PUBLISHED = "published"
    REFUSED = "refused"
    DAMAGED = "damaged"
    NEWER = "newer"


@dataclass(frozen=True)
class Headline:
    """The metric that decided, and which of its values are the better ones."""

    metric: str
    better: Better


@dataclass(frozen=True)
class Manifest:
    """What is known of a version. `metrics` are those on the hold-out by name, None where one is not a number.

    `forms` are their formats. A version of before there were several models has no headline and no forms: those that
    its model declares count. `details` is the domain's own part; in the file its entries stand beside the other
    fields. Times are ISO 8601.
    """

    outcome: Outcome = Outcome.PUBLISHED
    reason: str = ""
    version: str = ""
    domain: str = ""
    model: str = ""
    created_at: str = ""
    trained_at: str = ""
    cut_off: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    headline: Headline | None = None
    forms: dict[str, Annotated[str, Field(pattern=FORM)]] = field(default_factory=dict)
    seconds: float | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """The manifest as its file and `lake models show --json` have it."""
        values = asdict(self)
        details = values.pop("details")
        return values | {name: value for name, value in details.items() if name not in values}


_FIELDS = {each.name for each in fields(Manifest)} - {"details"}


def seal(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain JSON values, with its own checksum in `checksums`. NaN and infinity become null."""
    plain: dict[str, Any] = _plain(manifest.to_dict())
    plain["checksums"] = {**plain["checksums"], NAME: _sha256(plain)}
    return plain


def read_manifest(file: Path) -> Manifest | None:
    """The manifest in the file; None when it is damaged.

    Raises FileNotFoundError when there is none, NewerFormatError when a newer version of the platform wrote it.
    """
    content = file.read_bytes()
    try:
        values: dict[str, Any] = json.loads(content)
        records.check_format(values, FORMAT, f"The file {file}")
        if values["checksums"][NAME] != _sha256(values):
            return None
        details = {name: value for name, value in values.items() if name not in _FIELDS}
        return records.from_dict(Manifest, {"format": 0, **values, "details": details})
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def best_version(manifests: Sequence[Manifest], model: Model) -> str | None:
    """The published version with the best headline metric on its hold-out; the earliest of equals."""
    values = [
        (value, manifest.version)
        for manifest in manifests
        if manifest.outcome is Outcome.PUBLISHED and (value := manifest.metrics.get(model.headline)) is not None
    ]
    sign = 1 if model.better is Better.LOWER else -1
    return min(values, key=lambda each: sign * each[0])[1] if values else None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return _plain(value.item()) if hasattr(value, "item") else value  # numpy's scalars


def _sha256(values: Mapping[str, Any]) -> str:
    others = {name: sha for name, sha in values.get("checksums", {}).items() if name != NAME}
    return hashlib.sha256(json.dumps({**values, "checksums": others}, sort_keys=True).encode()).hexdigest()
