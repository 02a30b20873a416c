"""The versions of a model: numbered folders under var/models/<domain>/<model>/, each with its manifest.

A version is written aside, then renamed; it never changes again.
"""

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.contract.models import Model
from lakehouse.core import files, kill_points, locks
from lakehouse.core.files import sha256, sync, sync_tree
from lakehouse.errors import DataError, NewerFormatError, UsageError
from lakehouse.models import manifests, safe_pipelines
from lakehouse.models.manifests import Manifest, Outcome
from lakehouse.settings import settings

VERSION = re.compile(r"^v[0-9]{4,9}$")
_LARGEST = 256 * 1024 * 1024  # of a file that is read whole, in bytes
_DAY = 86_400  # an aside folder untouched for this many seconds belongs to no living run


class Versions:
    """The versions of one model."""

    def __init__(self, model: Model) -> None:
        for name in (model.domain, model.name):
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name):
                raise UsageError(f"{name[:80]!r} is not the name of a domain or of a model.")
        self.model = model
        self.folder = _folder(model)

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A folder to write a version into; removed at the end unless it was kept, as are leftovers of dead runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".tmp-*"):
            if _age(leftover) > _DAY:
                shutil.rmtree(leftover, ignore_errors=True)
        path = self.folder / f".tmp-{uuid.uuid4().hex}"
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def keep(self, aside: Path, manifest: Manifest) -> str:
        """Make the folder the next version, with its manifest; returns the version. It is not live yet."""
        if manifest.outcome not in (Outcome.PUBLISHED, Outcome.REFUSED):
            raise DataError(f"The outcome of a version is published or refused, not {manifest.outcome}.")
        checksums = {name: sha256(aside / name) for name in files.files(aside) if name != manifests.NAME}
        with self._locked():
            version = f"v{1 + max((number(name) for name in self._taken()), default=0):04d}"
            now = datetime.now(UTC).isoformat()
            whole = replace(manifest, version=version, created_at=now, checksums=checksums)
            whole = replace(whole, domain=self.model.domain, model=self.model.name)
            kill_points.point("model.summed", number(version))
            (aside / manifests.NAME).write_text(json.dumps(manifests.seal(whole), indent=1))
            kill_points.point("model.sealed", number(version))
            sync_tree(aside)
            aside.rename(self.folder / version)
            kill_points.point("model.named", number(version))
            sync(self.folder)
        kill_points.point("model.kept", number(version))
        return version

    def _taken(self) -> set[str]:
        """The versions in the folder: a number is given once."""
        return {path.name for path in self.folder.glob("v*") if VERSION.fullmatch(path.name)}

    def path(self, version: str) -> Path:
        """The folder of a version. Raises UsageError when there is none."""
        if not VERSION.fullmatch(version) or not (self.folder / version).is_dir():
            raise UsageError(
                f"There is no version {version[:80]!r} of {self.model.full_name}.", f"Versions: {listed(self.names())}."
            )
        return self.folder / version

    def manifest(self, version: str) -> Manifest:
        """The manifest of a version.

        Raises DataError when it is missing or damaged, NewerFormatError when a newer version of the platform wrote it.
        """
        file = self.path(version) / manifests.NAME
        try:
            manifest = manifests.read_manifest(file)
        except FileNotFoundError:
            raise self._damaged(file, "is missing") from None
        if manifest is None or manifest.version != version:
            raise self._damaged(file, "is damaged")
        return manifest

    def versions(self) -> list[Manifest]:
        """The manifests of all versions, oldest first; of one that cannot be read version, outcome and reason only."""
        rows = []
        for name in self.names():
            try:
                rows.append(self.manifest(name))
            except DataError as error:
                rows.append(Manifest(Outcome.DAMAGED, error.what, name))
            except NewerFormatError as error:
                rows.append(Manifest(Outcome.NEWER, error.what, name))
        return rows

    def verify(self, version: str, only: Collection[str] | None = None) -> None:
        """Compare all files, or `only` these, with their checksums. Raises DataError naming the first that differs."""
        folder = self.path(version)
        checksums = {name: sha for name, sha in self.manifest(version).checksums.items() if name != manifests.NAME}
        for name in sorted(checksums if only is None else only):
            if name not in checksums or not (folder / name).is_file():
                raise self._damaged(folder / name, "is missing")
            if sha256(folder / name) != checksums[name]:
                raise self._damaged(folder / name, "has changed since it was written")
        if only is None and (more := sorted({*files.files(folder)} - {*checksums, manifests.NAME})):
            raise self._damaged(folder / more[0], "was added after the version was written")
        if only is None:
            safe_pipelines.check_stages(folder)

    def content(self, version: str, name: str) -> bytes:
        """A file's bytes, compared with their checksum. Raises DataError, which names the file, when they differ."""
        file = self.path(version) / name
        expected = self.manifest(version).checksums.get(name)
        if expected is None or not file.is_file():
            raise self._damaged(self.path(version) / name[:80], "is missing")
        if file.stat().st_size > _LARGEST:
            raise self._damaged(file, f"is larger than the {_LARGEST:,} bytes that are read")
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != expected:
            raise self._damaged(file, "has changed since it was written")
        return data

    def names(self) -> list[str]:
        """The versions there are, oldest first."""
        folders = (path.name for path in self.folder.glob("v*") if VERSION.fullmatch(path.name) and path.is_dir())
        return sorted(folders, key=number)

    def _damaged(self, file: Path, what: str) -> DataError:
        return DataError(f"{file} {what}.", f"Let another version go live: {rollback_command(self.model)}.")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with locks.waiting(self.folder / ".lock"):
            yield


def _folder(model: Model) -> Path:
    """The folder of the model's versions: the one of before there were several models, where there are versions."""
    domain = settings().var / "models" / model.domain
    if model.was_alone and ((domain / "registry.json").exists() or any(domain.glob("v[0-9]*"))):
        return domain
    return domain / model.name


def number(version: str) -> int:
    """The number in a version's name."""
    return int(version[1:])


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # another run removed it
        return 0.0


def rollback_command(model: Model, to: str = "") -> str:
    """The command that lets an earlier version go live, for a sentence."""
    return f"`lake models rollback --domain {model.domain} --model {model.name}{to} --reason TEXT`"


def listed(names: Sequence[str]) -> str:
    """Names for a sentence."""
    return ", ".join(names) or "none"
