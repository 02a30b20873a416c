"""The live error: what the versions predicted against what happened since, from two tables. No JVM."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse.contract.models import LiveCheck
from lakehouse.models.registry import Registry
from lakehouse.tables import loads, table_io

NEWEST = 50


class Compared(NamedTuple):
    """A prediction of the version that was live then, and what happened; `id` is the key as a text."""

    id: str
    at: datetime
    actual: float
    predicted: float
    version: str


class VersionError(NamedTuple):
    """A version's mean error on what happened since, and its headline metric on the hold-out."""

    version: str
    outcomes: int
    error: float
    hold_out: float


@dataclass(frozen=True)
class LiveError:
    """Live errors by version, newest version first, and the newest outcomes behind them."""

    versions: tuple[VersionError, ...] = ()
    newest: tuple[Compared, ...] = ()
    error: str = ""


class LiveErrors:
    """Computes the live errors from outcomes, predictions and registry; reads each data file once."""

    def __init__(self, registry: Registry, check: LiveCheck) -> None:
        self._registry = registry
        self._check = check
        self._last = LiveError()
        self._state: tuple[object, ...] = ()
        self._reset("")

    def _reset(self, generation: str) -> None:
        """Start with empty results; `generation` identifies the tables that are read from now on."""
        self._generation = generation
        self._seen: set[str] = set()
        self._predicted: dict[tuple[str, Any], float] = {}  # by version and key
        self._outcomes: dict[Any, Compared] = {}  # by key

    def read(self) -> LiveError:
        """The current errors; the same object while nothing has changed."""
        try:
            tables = (self._check.outcomes, self._check.predictions)
            state = (self._registry.stamp(), *(_newest_commit(table.path) for table in tables))
            if state != self._state:
                self._follow()
                self._last, self._state = self._summary(), state
        except Exception as error:  # a damaged table must not stop the page
            self._last = LiveError(self._last.versions, self._last.newest, f"The live error cannot be read: {error}")
        return self._last

    def _follow(self) -> None:
        check = self._check
        if not table_io.exists(check.outcomes) or not table_io.exists(check.predictions):
            return
        outcomes, predictions = DeltaTable(check.outcomes.path), DeltaTable(check.predictions.path)
        generation = f"{outcomes.metadata().id} {predictions.metadata().id}"
        if generation != self._generation:  # deleted and created again
            self._reset(generation)
        key_type = check.outcomes.arrow_schema.field(check.key).type
        for file in self._unread(predictions):
            rows = loads.read_file(check.predictions, file, ["model_version", check.key, check.predicted])
            keys = zip(rows["model_version"].to_pylist(), rows[check.key].cast(key_type).to_pylist(), strict=True)
            self._predicted.update(zip(keys, rows[check.predicted].cast(pa.float64()).to_pylist(), strict=True))
        predicted = pa.array([*{key for _, key in self._predicted}], key_type)
        columns = [check.key, check.actual, check.at, *(check.only or ())[:1]]
        for file in self._unread(outcomes):
            self._add(loads.read_file(check.outcomes, file, columns), predicted)

    def _unread(self, delta: DeltaTable) -> Iterator[Path]:
        for name in pa.table(delta.get_add_actions(flatten=True))["path"].to_pylist():
            path = Path(unquote(delta.table_uri.removeprefix("file://"))) / unquote(name)
            if str(path) not in self._seen:
                yield path
                self._seen.add(str(path))

    def _add(self, rows: pa.Table, predicted: pa.Array) -> None:
        """Keep the first outcome of each key that the version live at that time had predicted."""
        check = self._check
        if check.only:
            rows = rows.filter(pc.equal(rows[check.only[0]], check.only[1]))
        for row in rows.filter(pc.is_in(rows[check.key], predicted)).to_pylist():
            key, at = row[check.key], row[check.at].astimezone(UTC)
            version = self._registry.live_at(at)
            foreseen = self._predicted.get((version or "", key))
            known = self._outcomes.get(key)
            if version and foreseen is not None and (known is None or at < known.at):
                self._outcomes[key] = Compared(str(key), at, float(row[check.actual]), foreseen, version)

    def _summary(self) -> LiveError:
        by_version: dict[str, list[float]] = {}
        for one in self._outcomes.values():
            by_version.setdefault(one.version, []).append(self._check.error(one.predicted, one.actual))
        versions = [
            VersionError(version, len(errors), float(np.mean(errors)), self._hold_out(version))
            for version, errors in sorted(by_version.items(), reverse=True)
        ]
        newest = sorted(self._outcomes.values(), key=lambda one: one.at, reverse=True)
        return LiveError(tuple(versions), tuple(newest[:NEWEST]))

    def _hold_out(self, version: str) -> float:
        value = self._registry.manifest(version).metrics.get(self._registry.model.headline)
        return float("nan") if value is None else value


def _newest_commit(table: Path) -> tuple[str, int]:
    """Name and time of the newest commit file: cheap, and different after each change of the table."""
    commits = sorted((table / "_delta_log").glob("*.json")) if table.exists() else []
    return (commits[-1].name, commits[-1].stat().st_mtime_ns) if commits else ("", 0)
