"""Which version of a domain's model is live: registry.json beside its versions.

registry.json names the live version and every switch there was; it is replaced in one step, so a reader sees the old
content or the new one. Standard library only: what answers with a model must start fast.
"""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lakehouse.core import kill_points
from lakehouse.core.files import replace_json
from lakehouse.errors import DataError, RefusedError, UsageError
from lakehouse.models.versions import NAME, Versions, listed, number, rollback_command


class Switch(NamedTuple):
    """A version going live."""

    version: str
    at: datetime
    reason: str
    by: str


class Registry(Versions):
    """The versions of one domain's model and which of them is live."""

    def __init__(self, domain: str) -> None:
        super().__init__(domain)
        self.file = self.folder / "registry.json"

    def switch(self, version: str, reason: str, by: str = "train") -> None:
        """Let the version go live. Raises DataError when a file of it is damaged, RefusedError when it was refused."""
        with self._locked():
            self._switch(self.switches(), version, reason, by)

    def rollback(self, reason: str, to: str | None = None, by: str = "rollback") -> str:
        """Let `to`, or the version that was live before the current one, go live; returns it.

        Rolling back twice goes back two versions. With `to`, a damaged registry.json is kept aside and replaced.
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
                f"Name one (--to): {listed(self.names())}.",
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
        kill_points.point("model.verified", number(version))
        replace_json(self.file, {"live": version, "switches": entries})
        kill_points.point("model.switched", number(version))

    def switches(self) -> list[Switch]:
        """Every switch there was, oldest first. Raises DataError when registry.json is damaged."""
        try:
            content = json.loads(self.file.read_bytes())
            switches = [_switch(entry) for entry in content["switches"]]
            if content["live"] == switches[-1].version:
                return switches
        except FileNotFoundError:
            return []
        except (ValueError, LookupError, TypeError):
            pass
        fix = f"Name the version to go live ({listed(self.names())}): {rollback_command(self.domain, ' --to VERSION')}."
        raise DataError(f"{self.file} is damaged.", fix)

    def live(self) -> str | None:
        """The live version; None when none is. Raises DataError when registry.json is damaged."""
        switches = self.switches()
        return switches[-1].version if switches else None

    def live_at(self, moment: datetime) -> str | None:
        """The version that was live at that moment (UTC when it names no zone)."""
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return next((switch.version for switch in reversed(self.switches()) if switch.at <= moment), None)

    def stamp(self) -> tuple[int, ...]:
        """Differs after every switch; empty when there was none. Take it before reading, and poll it."""
        try:
            status = self.file.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _taken(self) -> set[str]:
        """The versions in the folder, and those that once were live: a deleted one's number is not given again."""
        try:
            return super()._taken() | {switch.version for switch in self.switches()}
        except DataError:
            return super()._taken()


def _switch(entry: Mapping[str, Any]) -> Switch:
    at = datetime.fromisoformat(entry["at"])
    if at.tzinfo is None or not NAME.fullmatch(entry["version"]):
        raise ValueError(f"no switch: {entry}")
    return Switch(entry["version"], at, entry["reason"], entry["by"])
