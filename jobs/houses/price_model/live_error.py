"""The live error: predicted prices of houses for sale against the prices of their sales on the stream. No JVM."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from jobs.houses.schema import DOMAIN, HISTORY, PRICES
from lakehouse.models.registry import Registry
from lakehouse.tables import loads, table_io

NEWEST = 50
_SALE = ["id", "price", "event_at", "source"]


class Sold(NamedTuple):
    """A house for sale that was sold, and the price predicted by the version that was live then; dollars."""

    id: str
    sold_at: datetime
    price: float
    predicted: float
    version: str

    @property
    def error(self) -> float:
        """Relative to the price; positive when the prediction was too high."""
        return self.predicted / self.price - 1


class VersionError(NamedTuple):
    """The live error of a version and its error on the hold-out, as fractions."""

    version: str
    sales: int
    mape: float
    hold_out_mape: float


@dataclass(frozen=True)
class LiveError:
    """Live errors by version, newest version first, and the newest sales behind them."""

    versions: tuple[VersionError, ...] = ()
    newest: tuple[Sold, ...] = ()
    error: str = ""


class LiveErrors:
    """Computes the live errors from history, prices and registry; reads each data file once."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry or Registry(DOMAIN.name)
        self._last = LiveError()
        self._state: tuple[object, ...] = ()
        self._reset("")

    def _reset(self, generation: str) -> None:
        """Start with empty results; `generation` identifies the tables that are read from now on."""
        self._generation = generation
        self._seen: set[str] = set()
        self._predicted: dict[tuple[str, str], float] = {}
        self._sold: dict[str, Sold] = {}

    def read(self) -> LiveError:
        """The current errors; the same object while nothing has changed."""
        try:
            state = (self._registry.stamp(), *(_newest_commit(table.path) for table in (HISTORY, PRICES)))
            if state != self._state:
                self._follow()
                self._last, self._state = self._summary(), state
        except Exception as error:  # a damaged table must not stop the page
            self._last = LiveError(self._last.versions, self._last.newest, f"The live error cannot be read: {error}")
        return self._last

    def _follow(self) -> None:
        if not table_io.exists(HISTORY) or not table_io.exists(PRICES):
            return
        delta, prices = DeltaTable(HISTORY.path), DeltaTable(PRICES.path)
        generation = f"{delta.metadata().id} {prices.metadata().id}"
        if generation != self._generation:  # deleted and created again
            self._reset(generation)
        for file in self._unread(prices):
            rows = loads.read_file(PRICES, file, ["model_version", "id", "price"])
            keys = zip(rows["model_version"].to_pylist(), rows["id"].to_pylist(), strict=True)
            self._predicted.update(zip(keys, rows["price"].to_pylist(), strict=True))
        offered = pa.array(sorted({house for _, house in self._predicted}), pa.string())
        for file in self._unread(delta):
            self._add(loads.read_file(HISTORY, file, _SALE), offered)

    def _unread(self, delta: DeltaTable) -> Iterator[Path]:
        for name in pa.table(delta.get_add_actions(flatten=True))["path"].to_pylist():
            path = Path(unquote(delta.table_uri.removeprefix("file://"))) / unquote(name)
            if str(path) not in self._seen:
                yield path
                self._seen.add(str(path))

    def _add(self, rows: pa.Table, offered: pa.Array) -> None:
        """Keep the first sale on the stream of each house that the version live at that time had priced."""
        on_stream = rows.filter(pc.and_(pc.equal(rows["source"], "stream"), pc.is_in(rows["id"], offered)))
        for row in on_stream.to_pylist():
            house, sold_at = row["id"], row["event_at"].astimezone(UTC)
            version = self._registry.live_at(sold_at)
            predicted = self._predicted.get((version or "", house))
            known = self._sold.get(house)
            if version and predicted is not None and (known is None or sold_at < known.sold_at):
                self._sold[house] = Sold(house, sold_at, float(row["price"]), predicted, version)

    def _summary(self) -> LiveError:
        by_version: dict[str, list[float]] = {}
        for sale in self._sold.values():
            by_version.setdefault(sale.version, []).append(abs(sale.error))
        versions = [
            VersionError(version, len(errors), float(np.mean(errors)), _hold_out(self._registry, version))
            for version, errors in sorted(by_version.items(), reverse=True)
        ]
        newest = sorted(self._sold.values(), key=lambda sale: sale.sold_at, reverse=True)
        return LiveError(tuple(versions), tuple(newest[:NEWEST]))


def _hold_out(registry: Registry, version: str) -> float:
    error = registry.manifest(version).metrics.get("mape")
    return float("nan") if error is None else error


def _newest_commit(table: Path) -> tuple[str, int]:
    """Name and time of the newest commit file: cheap, and different after each change of the table."""
    commits = sorted((table / "_delta_log").glob("*.json")) if table.exists() else []
    return (commits[-1].name, commits[-1].stat().st_mtime_ns) if commits else ("", 0)
