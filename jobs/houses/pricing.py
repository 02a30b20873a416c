"""The price of a house by its id from the published model, without a JVM: numpy and the standard library only."""

import difflib
import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jobs.houses import export
from jobs.houses.answers import Answer, Comparable, answer
from jobs.houses.export import EXPORT, Fit, KnownHouses
from jobs.houses.housing import FACTS, FEWEST_SALES, Houses
from lakehouse.errors import LakeError, UnavailableError
from lakehouse.models.registry import Registry

__all__ = ["Answer", "Comparable", "Found", "Model", "Pricer", "UnknownHouseError", "answer"]
DOMAIN = "houses"


class UnknownHouseError(LakeError):
    """No house has this id; `nearest` are ids like it."""

    def __init__(self, house_id: str, nearest: Sequence[str]) -> None:
        like = f"Ids like it: {', '.join(nearest)}." if nearest else ""
        super().__init__(f"No house has the id {house_id[:80]!r}.", like)
        self.nearest = list(nearest)


class Found(NamedTuple):
    """A house found by the beginning of its id."""

    id: str
    about: str
    for_sale: bool


class Model:
    """A published version, checked against its checksums and held in memory."""

    def __init__(self, registry: Registry, version: str) -> None:
        houses, fit = registry.content(version, export.HOUSES), registry.content(version, EXPORT)
        self.version = version
        self.manifest = registry.manifest(version)
        self.known: KnownHouses = export.load_houses(houses, f"{registry.path(version) / export.HOUSES}")
        self.fit: Fit = export.from_json(fit.decode(), self.known.sold)

    def row(self, house_id: str) -> int:
        """The house's position. Raises UnknownHouseError."""
        ids = self.known.houses.ids
        at = int(np.searchsorted(ids, house_id))
        if at == len(ids) or ids[at] != house_id:
            raise UnknownHouseError(house_id, self.nearest(house_id))
        return at

    def nearest(self, house_id: str, limit: int = 3) -> list[str]:
        """Ids most like this one: fewest different digits, then those of the same beginning."""
        ids = self.known.houses.ids
        if not house_id or len(house_id) > 64:
            return []
        texts = [str(each) for each in ids[np.char.str_len(ids) == len(house_id)]]
        letters = np.array([list(text) for text in texts]) if texts else np.empty((0, len(house_id)))
        apart = (letters != np.array(list(house_id))).sum(axis=1) if texts else np.empty(0)
        like = [texts[at] for at in np.argsort(apart, kind="stable")[:limit]]
        at = int(np.searchsorted(ids, house_id))
        around = [str(each) for each in ids[max(at - 2, 0) : at + 2]]
        close = difflib.get_close_matches(house_id, [*like, *around], n=limit, cutoff=0.5)
        return list(dict.fromkeys(close)) or around[:limit]

    def houses(self, house_ids: Sequence[str]) -> Houses:
        """These houses, each once, as far as they are known."""
        ids = np.array(house_ids, dtype=np.str_)
        return self.known.houses.take(np.isin(self.known.houses.ids, ids))


class Pricer:
    """Answers with the live version; a switch is noticed at the next question, at most a second later."""

    def __init__(self, registry: Registry | None = None, seconds: float = 1.0) -> None:
        self._registry = registry or Registry(DOMAIN)
        self._seconds = seconds
        self._looked_at = -math.inf
        self._stamp: tuple[int, ...] = ()
        self._model: Model | None = None

    def model(self) -> Model:
        """The live version. Raises UnavailableError when there is none, DataError when it is damaged."""
        now = time.monotonic()
        if self._model is None or now - self._looked_at >= self._seconds:
            stamp = self._registry.stamp()
            if self._model is None or stamp != self._stamp:
                self._model = self._load()
                self._stamp = stamp
            self._looked_at = now
        return self._model

    def _load(self) -> Model:
        version = self._registry.live()
        if version is None:
            raise UnavailableError(
                f"There is no price model yet; it takes {FEWEST_SALES} different sales.",
                "Train one: `./spark-submit.sh jobs/houses/train.py`.",
            )
        return Model(self._registry, version)

    def price(self, house_id: str, changes: Mapping[str, float] | None = None) -> Answer:
        """The price of a house, with some facts changed if wanted.

        Raises UnknownHouseError, and UsageError for a change that is no fact or no number.
        """
        return answer(self.model(), house_id, changes or {})

    def price_many(self, house_ids: Sequence[str]) -> dict[str, float]:
        """Prices by id; unknown ids are left out."""
        model = self.model()
        houses = model.houses(house_ids)
        if not len(houses):
            return {}
        return dict(zip(houses.ids.tolist(), model.fit.prices(houses).tolist(), strict=True))

    def search(self, text: str, limit: int = 10) -> list[Found]:
        """Houses whose id starts with the text, in the order of ids."""
        known = self.model().known
        ids = known.houses.ids
        first = int(np.searchsorted(ids, text))
        rows = [at for at in range(first, min(first + limit, len(ids))) if str(ids[at]).startswith(text)]
        return [Found(str(ids[at]), about(known.houses, at), bool(known.for_sale[at])) for at in rows]

    def known(self) -> KnownHouses:
        """Every house the live version knows."""
        return self.model().known


def about(houses: Houses, at: int) -> str:
    """A house in a few words."""
    value = {name: houses.facts[name][at] for name in FACTS}
    zipcode = "" if math.isnan(value["zipcode"]) else f", {int(value['zipcode']):05d}"
    parts = (("bedrooms", "g", "bd"), ("bathrooms", "g", "ba"), ("sqft_living", ",.0f", "sq ft"))
    known = [f"{value[name]:{form}} {unit}" for name, form, unit in parts if not math.isnan(value[name])]
    return ", ".join(known) + zipcode
