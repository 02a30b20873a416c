"""The houses that a model version knows: those sold so far and those of the data sets, one row each."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from jobs.houses import datasets
from jobs.houses.price_model import house_columns
from jobs.houses.price_model.export import KnownHouses
from jobs.houses.price_model.house_columns import FACTS, Floats, Houses
from lakehouse.errors import DataError


def sold_houses(rows: pa.Table) -> Houses:
    """Training rows as houses with prices."""
    return house_columns.columns(
        rows["id"].to_pylist(), {name: rows[name].to_numpy(zero_copy_only=False) for name in ("price", *FACTS)}
    )


def known_houses(sold: Houses) -> KnownHouses:
    """Every house, with its latest listing; of two sales on one day the dearer one.

    Houses of the data sets that are not sold yet have no price; those of the for-sale set are marked.
    """
    listed = [sold, *(unsold_houses(name) for name in (datasets.TO_STREAM, datasets.FOR_SALE))]
    ids = np.concatenate([part.ids for part in listed])
    facts = {name: np.concatenate([part.facts[name] for part in listed]) for name in FACTS}
    everything = Houses(ids, facts, np.concatenate([part.prices for part in listed]))
    of_sets = np.repeat([0, 1, 2], [len(part) for part in listed])
    latest = _latest(everything)
    for_sale = (of_sets[latest] == 2) & ~np.isin(ids[latest], sold.ids)
    return KnownHouses(everything.take(latest), for_sale)


def _latest(houses: Houses) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions of each house's latest listing, ordered by id; a sold one before an unsold one of the same day."""
    days: Floats = np.nan_to_num(houses.facts["listed_day"], nan=-1)
    order = np.lexsort((np.nan_to_num(houses.prices, nan=-1), days, houses.ids))
    last = np.append(houses.ids[order][1:] != houses.ids[order][:-1], True) if len(order) else np.zeros(0, bool)
    rows: np.ndarray[tuple[int], np.dtype[np.int64]] = order[last]
    return rows


def unsold_houses(name: str) -> Houses:
    """A data set as houses without prices; no houses when the sets were not built."""
    try:
        [rows] = datasets.read_sets(name)
    except DataError:
        return house_columns.columns([], {fact: [] for fact in FACTS})
    days = rows["listed_at"].cast(pa.timestamp("us")).cast(pa.date32()).cast(pa.int32())  # of UTC
    columns = {fact: days if fact == "listed_day" else rows[fact] for fact in FACTS}
    return house_columns.columns(
        rows["id"].to_pylist(),
        {fact: column.cast(pa.float64()).to_numpy(zero_copy_only=False) for fact, column in columns.items()},
    )


def as_rows(houses: Houses) -> pa.Table:
    """Houses as a table of id and facts, one row each, the input of `pipeline.with_features`."""
    values: Sequence[pa.Array] = [pa.array(houses.facts[name], mask=np.isnan(houses.facts[name])) for name in FACTS]
    return pa.table([pa.array(houses.ids.tolist(), pa.string()), *values], names=["id", *FACTS])
