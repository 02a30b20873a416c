"""Which version of a model is live: registry.json beside its versions.

registry.json names the live version and every switch there was; it is replaced in one step, so a reader sees the old
content or the new one. No JVM, no numpy: what answers with a model must start fast.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from lakehouse.contract.models import Model
from lakehouse.core import kill_points, records
from lakehouse.core.files import replace_json
from lakehouse.errors import DataError, RefusedError, UsageError
from lakehouse.models.manifests import Outcome
from lakehouse.models.versions import VERSION, Versions, listed, number, rollback_command

FORMAT = 1
ANY = "any"  # a switch whatever version is live


@dataclass(frozen=True)
class Switch:
    """A version going live."""

    version: Annotated[str, Field(pattern=VERSION.pattern)]
    at: AwareDatetime
    reason: str
    by: str


@dataclass(frozen=True)
class LiveRecord:
    """The content of registry.json: the live version, and every switch there was, oldest first."""

    live: str
    switches: list[Switch]


class Registry(Versions):
    """The versions of one model and which of them is live."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.file = self.folder / "registry.json"

    def switch(self, version: str, reason: str, by: str = "train", expected: str | None = ANY) -> None:
        """Let the version go live, if `expected` is live (None: if none is).

        Raises DataError when a file of it is damaged, RefusedError when it was refused or another version is live.
        """
        with self._locked():
            switches = self.switches()
            live = switches[-1].version if switches else None
            if expected not in (ANY, live):
                command = rollback_command(self.model, f" --to {version}")
                raise RefusedError(
                    f"{version} of {self.model.full_name} was judged against {expected or 'no live version'}, but "
                    f"{live or 'none'} is live now, so it does not go live.",
                    f"The version is kept. Train again, or let it go live: {command}.",
                )
            self._switch(switches, version, reason, by)

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
                raise UsageError(f"{version} of {self.model.full_name} is live already.")
            self._switch(switches, version, reason, by)
        return version

    def _before(self, switches: Sequence[Switch]) -> str:
        order: list[str] = []
        for switch in switches:
            order = order[: order.index(switch.version)] if switch.version in order else order
            order.append(switch.version)
        if len(order) < 2:
            raise UsageError(
                f"No version of {self.model.full_name} was live before {order[0] if order else 'now'}.",
                f"Name one (--to): {listed(self.names())}.",
            )
        return order[-2]

    def _switch(self, switches: Sequence[Switch], version: str, reason: str, by: str) -> None:
        if not reason.strip():
            raise UsageError("A switch needs a reason.")
        self.verify(version)
        if (outcome := self.manifest(version).outcome) is not Outcome.PUBLISHED:
            raise RefusedError(f"{version} of {self.model.full_name} cannot go live: its outcome is {outcome}.")
        at = max([datetime.now(UTC), *(switch.at for switch in switches[-1:])])  # a clock set back keeps the order
        record = LiveRecord(version, [*switches, Switch(version, at, reason.strip(), by)])
        kill_points.point("model.verified", number(version))
        replace_json(self.file, {"format": FORMAT, **records.to_dict(record)})
        kill_points.point("model.switched", number(version))

    def switches(self) -> list[Switch]:
        """Every switch there was, oldest first.

        Raises DataError when registry.json is damaged, NewerFormatError when a newer version of the platform wrote it.
        """
        try:
            content = json.loads(self.file.read_bytes())
            records.check_format(content, FORMAT, f"The file {self.file}")
            record = records.from_dict(LiveRecord, content)
            if record.live == record.switches[-1].version:
                return record.switches
        except FileNotFoundError:
            return []
        except (ValueError, LookupError, TypeError, AttributeError):
            pass
        fix = f"Name the version to go live ({listed(self.names())}): {rollback_command(self.model, ' --to VERSION')}."
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
