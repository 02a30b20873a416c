"""A published version of the price model in memory."""

import difflib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jobs.houses.price_model import export
from jobs.houses.price_model.details import details_of
from jobs.houses.price_model.export import EXPORT, Fit, KnownHouses
from jobs.houses.price_model.house_columns import FACTS, Houses
from lakehouse.errors import LakeError
from lakehouse.models.registry import Registry


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
    """A published version in memory, verified against its checksums."""

    def __init__(self, registry: Registry, version: str) -> None:
        houses, fit = registry.content(version, export.HOUSES), registry.content(version, EXPORT)
        self.version = version
        self.manifest = registry.manifest(version)
        self.interval = details_of(self.manifest).interval
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
        """The most similar ids: fewest different digits, then the same beginning."""
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
        """The known ones of these houses, each once."""
        ids = np.array(house_ids, dtype=np.str_)
        return self.known.houses.take(np.isin(self.known.houses.ids, ids))


def about(houses: Houses, at: int) -> str:
    """A house in a few words."""
    value = {name: houses.facts[name][at] for name in FACTS}
    zipcode = "" if math.isnan(value["zipcode"]) else f", {int(value['zipcode']):05d}"
    parts = (("bedrooms", "g", "bd"), ("bathrooms", "g", "ba"), ("sqft_living", ",.0f", "sq ft"))
    known = [f"{value[name]:{form}} {unit}" for name, form, unit in parts if not math.isnan(value[name])]
    return ", ".join(known) + zipcode
