"""The versions of a domain's model and which of them is live: var/models/<domain>/.

A version is a numbered folder that is written aside, then renamed; it never changes again. registry.json names the live
one and every switch there was; it is replaced in one step, so a reader sees the old content or the new one.
Standard library only: what answers with a model must start fast.
"""

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lakehouse.core import files as durable
from lakehouse.core import kill_points, locks
from lakehouse.core.files import replace_json, sha256, sync, sync_tree
from lakehouse.errors import DataError, RefusedError, UsageError
from lakehouse.models import manifests, safe_pipelines
from lakehouse.settings import settings

OUTCOMES = ("published", "refused")
_NAME = re.compile(r"v\d{4,9}")
_LARGEST = 256 * 1024 * 1024  # of a file that is read whole, in bytes
_DAY = 86_400  # an aside folder untouched for this many seconds belongs to no living run


class Switch(NamedTuple):
    """A version going live."""

    version: str
    at: datetime
    reason: str
    by: str


class Registry:
    """The versions of one domain's model."""

    def __init__(self, domain: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", domain):
            raise UsageError(f"{domain[:80]!r} is no name of a domain.", f"Domains with models: {_listed(domains())}.")
        self.domain = domain
        self.folder = settings().var / "models" / domain
        self.file = self.folder / "registry.json"

    # --- writing a version

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

    def keep(self, aside: Path, manifest: Mapping[str, Any]) -> str:
        """Make the folder the next version, with its manifest; returns the version. It does not go live by this."""
        if manifest.get("outcome") not in OUTCOMES:
            raise DataError(f"The outcome of a version is published or refused, not {manifest.get('outcome')!r}.")
        checksums = {name: sha256(aside / name) for name in durable.files(aside) if name != manifests.NAME}
        with self._locked():
            version = f"v{1 + max((_number(name) for name in self._numbered()), default=0):04d}"
            added = {"version": version, "domain": self.domain, "created_at": datetime.now(UTC).isoformat()}
            whole = manifests.seal({**manifest, **added, "checksums": checksums})
            kill_points.point("model.summed", _number(version))
            (aside / manifests.NAME).write_text(json.dumps(whole, indent=1))
            kill_points.point("model.sealed", _number(version))
            sync_tree(aside)
            aside.rename(self.folder / version)
            kill_points.point("model.named", _number(version))
            sync(self.folder)
        kill_points.point("model.kept", _number(version))
        return version

    def _numbered(self) -> set[str]:
        """Versions that are there or once were live: no number is given twice."""
        there = {path.name for path in self.folder.glob("v*") if _NAME.fullmatch(path.name)}
        try:
            return there | {switch.version for switch in self.switches()}
        except DataError:
            return there

    # --- the live version

    def switch(self, version: str, reason: str, by: str = "train") -> None:
        """Let the version go live. Raises DataError when a file of it is damaged, RefusedError when it was refused."""
        with self._locked():
            self._switch(self.switches(), version, reason, by)

    def rollback(self, reason: str, to: str | None = None, by: str = "rollback") -> str:
        """Let `to`, or the version that was live before the current one, go live; returns it.

        Rolling back twice goes back two versions. With `to`, a damaged registry.json is kept aside and begun anew.
        """
        with self._locked():
            try:
                switches = self.switches()
            except DataError:
                if to is None:
                    raise
                self.verify(to)
                switches = []
                shutil.copy2(self.file, self.file.with_name(f"registry.damaged-{time.time_ns()}.json"))
            version = to or self._before(switches)
            if switches and switches[-1].version == version:
                raise UsageError(f"{version} of {self.domain} is live already.")
            self._switch(switches, version, reason, by)
        return version

    def _before(self, switches: Sequence[Switch]) -> str:
        order: list[str] = []
        for switch in switches:
            order = order[: order.index(switch.version)] if switch.version in order else order
            order.append(switch.version)
        if len(order) < 2:
            raise UsageError(
                f"No version of {self.domain} was live before {order[0] if order else 'now'}.",
                f"Name one (--to): {_listed(self._names())}.",
            )
        return order[-2]

    def _switch(self, switches: Sequence[Switch], version: str, reason: str, by: str) -> None:
        if not reason.strip():
            raise UsageError("A switch needs a reason.")
        self.verify(version)
        if (outcome := self.manifest(version).get("outcome")) != "published":
            raise RefusedError(f"{version} of {self.domain} cannot go live: its outcome is {outcome}.")
        at = max([datetime.now(UTC), *(switch.at for switch in switches[-1:])])  # a clock set back keeps the order
        entries = [{**switch._asdict(), "at": switch.at.isoformat()} for switch in switches]
        entries.append({"version": version, "at": at.isoformat(), "reason": reason.strip(), "by": by})
        kill_points.point("model.verified", _number(version))
        replace_json(self.file, {"live": version, "switches": entries})
        kill_points.point("model.switched", _number(version))

    def switches(self) -> list[Switch]:
        """Every switch there was, oldest first. Raises DataError when registry.json is damaged."""
        return self._registry()[1]

    def live(self) -> str | None:
        """The live version; None when none is. Raises DataError when registry.json is damaged."""
        return self._registry()[0]

    def live_at(self, moment: datetime) -> str | None:
        """The version that was live at that moment (UTC when it names no zone)."""
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return next((switch.version for switch in reversed(self.switches()) if switch.at <= moment), None)

    def stamp(self) -> tuple[int, ...]:
        """Differs after every switch; empty when there was none. Take it before reading, and poll it."""
        try:
            found = self.file.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _registry(self) -> tuple[str | None, list[Switch]]:
        try:
            found = json.loads(self.file.read_bytes())
            switches = [_switch(entry) for entry in found["switches"]]
            if found["live"] == switches[-1].version:
                return switches[-1].version, switches
        except FileNotFoundError:
            return None, []
        except (ValueError, LookupError, TypeError):
            pass
        fix = f"Name the version to go live ({_listed(self._names())}): {_rollback(self.domain, ' --to VERSION')}."
        raise DataError(f"{self.file} is damaged.", fix)

    # --- reading a version

    def path(self, version: str) -> Path:
        """The folder of a version. Raises UsageError when there is none."""
        if not _NAME.fullmatch(version) or not (self.folder / version).is_dir():
            raise UsageError(
                f"There is no version {version[:80]!r} of {self.domain}.", f"Versions: {_listed(self._names())}."
            )
        return self.folder / version

    def manifest(self, version: str) -> dict[str, Any]:
        """What a version says of itself. Raises DataError when its manifest is missing or damaged."""
        file = self.path(version) / manifests.NAME
        try:
            found = manifests.read(file)
        except FileNotFoundError:
            raise self._damaged(file, "is missing") from None
        if found is None or found.get("version") != version:
            raise self._damaged(file, "is damaged")
        return found

    def versions(self) -> list[dict[str, Any]]:
        """The manifests of all versions, oldest first; a damaged one has only version, outcome "damaged" and reason."""
        found = []
        for name in self._names():
            try:
                found.append(self.manifest(name))
            except DataError as error:
                found.append({"version": name, "outcome": "damaged", "reason": error.what})
        return found

    def verify(self, version: str, files: Collection[str] | None = None) -> None:
        """Compare the files, or those named, with their checksums. Raises DataError naming the first that differs."""
        folder = self.path(version)
        checksums = {name: sha for name, sha in self.manifest(version)["checksums"].items() if name != manifests.NAME}
        for name in sorted(checksums if files is None else files):
            if name not in checksums or not (folder / name).is_file():
                raise self._damaged(folder / name, "is missing")
            if sha256(folder / name) != checksums[name]:
                raise self._damaged(folder / name, "has changed since it was written")
        if files is None and (more := sorted({*durable.files(folder)} - {*checksums, manifests.NAME})):
            raise self._damaged(folder / more[0], "was added after the version was written")
        if files is None:
            safe_pipelines.check(folder)

    def content(self, version: str, name: str) -> bytes:
        """A file's bytes, which are what was held to the checksum. Raises DataError naming it when it differs."""
        file = self.path(version) / name
        expected = self.manifest(version)["checksums"].get(name)
        if expected is None or not file.is_file():
            raise self._damaged(self.path(version) / name[:80], "is missing")
        if file.stat().st_size > _LARGEST:
            raise self._damaged(file, f"is larger than the {_LARGEST:,} bytes that are read")
        found = file.read_bytes()
        if hashlib.sha256(found).hexdigest() != expected:
            raise self._damaged(file, "has changed since it was written")
        return found

    def _names(self) -> list[str]:
        there = (path.name for path in self.folder.glob("v*") if _NAME.fullmatch(path.name) and path.is_dir())
        return sorted(there, key=_number)

    def _damaged(self, file: Path, what: str) -> DataError:
        return DataError(f"{file} {what}.", f"Let another version go live: {_rollback(self.domain)}.")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with locks.waiting(self.folder / ".lock"):
            yield


def domains() -> list[str]:
    """The domains that have a version of a model."""
    return sorted({path.parent.name for path in (settings().var / "models").glob("*/v*") if _NAME.fullmatch(path.name)})


def _number(version: str) -> int:
    return int(version[1:])


def _switch(entry: Mapping[str, Any]) -> Switch:
    at = datetime.fromisoformat(entry["at"])
    if at.tzinfo is None or not _NAME.fullmatch(entry["version"]):
        raise ValueError(f"no switch: {entry}")
    return Switch(entry["version"], at, entry["reason"], entry["by"])


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # another run removed it
        return 0.0


def _rollback(domain: str, to: str = "") -> str:
    return f"`lake models rollback --domain {domain}{to} --reason TEXT`"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
