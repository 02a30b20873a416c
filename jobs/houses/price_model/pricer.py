"""The price of a house by its id from the published model, without a JVM: numpy and the standard library only."""

from collections.abc import Mapping, Sequence

import numpy as np

from jobs.houses.price_model.answers import Answer, answer
from jobs.houses.price_model.export import KnownHouses
from jobs.houses.price_model.published import Found, Model, about
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.live import LiveModel
from lakehouse.models.registry import Registry


class Pricer:
    """Prices houses with the live version; after a switch it loads the new one at the next call."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._live = LiveModel(registry or Registry(PRICE_MODEL), Model)

    def model(self) -> Model:
        """The live version. Raises UnavailableError when there is none, DataError when it is damaged."""
        return self._live.get()

    def price(self, house_id: str, changes: Mapping[str, float] | None = None) -> Answer:
        """The price of a house, optionally with some facts changed.

        Raises UnknownHouseError, and UsageError for an unknown fact or a value out of bounds.
        """
        return answer(self.model(), house_id, changes or {})

    def price_many(self, house_ids: Sequence[str]) -> dict[str, float]:
        """Prices in dollars by id, without unknown ids."""
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
