"""The prices behind the houses pages: one Pricer per process, the versions, and what-if facts in an address."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from jobs.houses import schema
from jobs.houses.price_model import what_if
from jobs.houses.price_model.house_columns import FEWEST_SALES
from jobs.houses.price_model.live_error import LiveError, LiveErrors
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.price_model.published import Model
from lakehouse.errors import LakeError, UsageError
from lakehouse.models import manifests
from lakehouse.models.manifests import Manifest
from lakehouse.models.registry import Registry, Switch
from lakehouse.settings import settings

TRAIN = "`./spark-submit.sh jobs/houses/train.py`"
NO_MODEL = f"There is no model yet; it takes {FEWEST_SALES} different sales. Train one: {TRAIN}"
DOMAIN = schema.DOMAIN.name
MODELS_ADDRESS = f"/models?domain={DOMAIN}"
CACHED = 20_000


@dataclass(frozen=True)
class ModelsView:
    """Every version's manifest, oldest first, and which is live. Equal to the one before when nothing has changed."""

    live: str | None = None
    versions: tuple[Manifest, ...] = ()
    switches: tuple[Switch, ...] = ()
    error: str = ""

    @property
    def best(self) -> str | None:
        """The version with the smallest hold-out error of those ever published."""
        return manifests.best_version(self.versions)


@dataclass(frozen=True)
class Everywhere:
    """Every house that a version knows, and what it says of each."""

    model: Model
    predicted: np.ndarray[Any, Any]


@dataclass
class Shared:
    """What all pages of this process share: the pricer, the reader of live errors, and prices already asked for."""

    pricer: Pricer = field(default_factory=Pricer)
    live_errors: LiveErrors = field(default_factory=LiveErrors)
    registry: Registry = field(default_factory=lambda: Registry(DOMAIN))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _all: "Everywhere | None" = None
    _seen: tuple[Any, ModelsView] | None = None
    _priced: tuple[str, dict[str, float | None]] = ("", {})

    def everywhere(self) -> "Everywhere":
        """Every house the live version knows, with its price; worked out once per version. Raises LakeError."""
        model = self.pricer.model()
        with self._lock:
            if self._all is None or self._all.model is not model:
                self._all = Everywhere(model, model.fit.prices(model.known.houses))
            return self._all

    def models(self) -> ModelsView:
        """The versions, read again only when a version was added or another one went live."""
        stamp = self.registry.stamp(), _changed_at(self.registry.folder)
        if self._seen is None or self._seen[0] != stamp:
            self._seen = stamp, self._read()
        return self._seen[1]

    def _read(self) -> ModelsView:
        versions = tuple(self.registry.versions())
        try:
            return ModelsView(self.registry.live(), versions, tuple(self.registry.switches()))
        except LakeError as error:
            return ModelsView(None, versions, error=str(error))

    def predicted(self, ids: Iterable[str]) -> tuple[str, Mapping[str, float | None]]:
        """The live version and its price for each id (None for an unknown house); '' and nothing without a model."""
        try:
            version = self.pricer.model().version
            known = self._priced[1] if self._priced[0] == version else {}
            wanted = [house for house in dict.fromkeys(ids) if house not in known]
            if wanted:
                kept = known if len(known) + len(wanted) <= CACHED else {}
                known = {**kept, **dict.fromkeys(wanted), **self.pricer.price_many(wanted)}
            self._priced = version, known
        except LakeError:
            return "", {}
        return version, known


def _changed_at(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


@cache
def _shared(_lake: Path) -> Shared:
    return Shared()


def shared() -> Shared:
    """The one of this process (and of the lake it looks at)."""
    return _shared(settings().var)


def read_models() -> ModelsView:
    """The versions, for the snapshot."""
    return shared().models()


def read_live_error() -> LiveError:
    """The live errors, for the snapshot."""
    return shared().live_errors.read()


def usable(query: Mapping[str, str | Sequence[str]]) -> tuple[dict[str, float], list[str]]:
    """The what-if facts of an address that can be used, and a sentence on each that cannot."""
    changes: dict[str, float] = {}
    ignored = []
    for name, value in query.items():
        try:
            changes |= what_if.parse({name: value})
        except UsageError as error:
            ignored.append(f"Left out of the address: {error.what}")
    return changes, ignored
