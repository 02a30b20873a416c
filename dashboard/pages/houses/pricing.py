"""The prices behind the houses pages: one Pricer per process, the versions, and what-if facts in an address."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.live.models import ModelReader, ModelView
from jobs.houses import schema
from jobs.houses.price_model import what_if
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.price_model.published import Model
from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import settings

DOMAIN = schema.DOMAIN.name
MODELS_ADDRESS = f"/models?domain={DOMAIN}"
CACHED = 20_000


@dataclass(frozen=True)
class ScoredCatalogue:
    """Every house that a version knows, and its price of each."""

    model: Model
    predicted: np.ndarray[Any, Any]


@dataclass
class PricingCache:
    """What all pages of this process share: the pricer, the reader of versions, and prices already asked for."""

    pricer: Pricer = field(default_factory=Pricer)
    reader: ModelReader = field(default_factory=lambda: ModelReader(schema.PRICE_MODEL))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _all: "ScoredCatalogue | None" = None
    _priced: tuple[str, dict[str, float | None]] = ("", {})

    def catalogue(self) -> "ScoredCatalogue":
        """Every house the live version knows, with its price; worked out once per version. Raises LakeError."""
        model = self.pricer.model()
        with self._lock:
            if self._all is None or self._all.model is not model:
                self._all = ScoredCatalogue(model, model.fit.prices(model.known.houses))
            return self._all

    def models(self) -> ModelView:
        """The versions, read again only when a version was added or another one went live."""
        return self.reader.versions()

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


@cache
def _shared(_lake: Path) -> PricingCache:
    return PricingCache()


def shared() -> PricingCache:
    """The one of this process (and of the lake it looks at)."""
    return _shared(settings().var)


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
