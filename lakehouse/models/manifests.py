"""The manifest of a model version: JSON that holds its own checksum."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

NAME = "manifest.json"


def seal(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as plain JSON values, with its own checksum in `checksums`. NaN and infinity become null."""
    plain: dict[str, Any] = _plain(manifest)
    plain["checksums"] = {**plain.get("checksums", {}), NAME: _sha256(plain)}
    return plain


def read_manifest(file: Path) -> dict[str, Any] | None:
    """The manifest in the file; None when it is damaged. Raises FileNotFoundError when there is none."""
    try:
        manifest: dict[str, Any] = json.loads(file.read_bytes())
        return manifest if manifest["checksums"][NAME] == _sha256(manifest) else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def best_version(manifests: Sequence[Mapping[str, Any]]) -> str | None:
    """The published version with the lowest MAPE on its hold-out; the earliest of equals."""
    errors = [
        (manifest["metrics"]["mape"], manifest["version"])
        for manifest in manifests
        if manifest.get("outcome") == "published" and (manifest.get("metrics") or {}).get("mape") is not None
    ]
    return min(errors, key=lambda error: error[0])[1] if errors else None


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


def _sha256(manifest: Mapping[str, Any]) -> str:
    others = {name: sha for name, sha in manifest.get("checksums", {}).items() if name != NAME}
    return hashlib.sha256(json.dumps({**manifest, "checksums": others}, sort_keys=True).encode()).hexdigest()
