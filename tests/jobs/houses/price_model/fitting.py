"""A small model of real sales, fitted with numpy instead of Spark, for tests that need some published version."""

from dataclasses import asdict
from functools import cache

import numpy as np
import pyarrow as pa

from jobs.houses import datasets
from jobs.houses.build_datasets import COMMITTED
from jobs.houses.price_model import evaluation, export, features, house_columns
from jobs.houses.price_model.details import Interval, PriceDetails
from jobs.houses.price_model.export import Fit, KnownHouses
from jobs.houses.price_model.house_columns import FACTS, Basis, Houses
from lakehouse.models.manifests import Manifest, Outcome
from lakehouse.models.registry import Registry


@cache
def real_houses(count: int = 1200) -> Houses:
    """The latest sale of some houses of the committed file, ordered by id."""
    rows = datasets.read_file(COMMITTED).rows
    rows = rows.take(pa.array(range(0, rows.num_rows, rows.num_rows // count)))
    days = rows["listed_at"].cast(pa.timestamp("us")).cast(pa.date32()).cast(pa.int32())  # of UTC
    columns = {name: days if name == "listed_day" else rows[name] for name in FACTS} | {"price": rows["price"]}
    plain = {name: column.cast(pa.float64()).to_numpy(zero_copy_only=False) for name, column in columns.items()}
    houses = house_columns.columns(rows["id"].to_pylist(), plain)
    _, first = np.unique(houses.ids, return_index=True)
    return houses.take(first)


def known(houses: Houses, for_sale: int = 50) -> KnownHouses:
    """These houses, the last ones of them for sale instead of sold."""
    offered = np.arange(len(houses)) >= len(houses) - for_sale
    return KnownHouses(Houses(houses.ids, houses.facts, np.where(offered, np.nan, houses.prices)), offered)


def fitted(basis: Basis, factor: float = 1.0) -> Fit:
    """A ridge regression on the sold houses of the basis; `factor` makes all its prices so many times as high."""
    sold = basis.sold
    numbers = features.numbers(sold.ids, sold.facts, basis)
    zips = (house_columns.zip_names(sold.facts["zipcode"])[:, None] == basis.zips[None, :]).astype(float)
    columns = np.hstack([numbers, zips])
    means, spread, label = columns.mean(axis=0), columns.std(axis=0) + 1e-9, np.log(sold.prices)
    scaled = (columns - means) / spread
    found = np.linalg.solve(scaled.T @ scaled + 5 * np.eye(len(means)), scaled.T @ (label - label.mean())) / spread
    split = numbers.shape[1]
    intercept = float(label.mean() - means @ found) + float(np.log(factor))
    zip_mean = float(zips.mean(axis=0) @ found[split:])
    return Fit(basis, intercept, found[:split], found[split:], numbers.mean(axis=0), zip_mean)


def publish(registry: Registry, houses: Houses | None = None, switch: bool = True, factor: float = 1.0) -> str:
    """Write a version without a Spark pipeline and let it go live; the version."""
    everything = known(real_houses() if houses is None else houses)
    judged = fitted(house_columns.fit_basis(everything.judged()))
    judged_on = real_houses() if houses is None else houses
    hold_out = judged_on.take(np.array([house_columns.is_hold_out(str(house)) for house in judged_on.ids]))
    metrics, interval = evaluation.metrics(judged, hold_out, np.ones(len(hold_out)))
    sold = len(everything.sold)
    manifest = Manifest(
        Outcome.PUBLISHED,
        "made by a test",
        trained_at="2026-05-01T02:15:00+00:00",
        cut_off="2015-05-27",
        rows={"sales": sold, "distinct": sold, "training": 0, "hold_out": len(hold_out)},
        metrics={**metrics},
        seconds=1.0,
        details=asdict(PriceDetails(Interval(**interval), delta_version=1, features=[*FACTS])),
    )
    with registry.aside() as folder:
        (folder / export.EXPORT).write_text(fitted(house_columns.fit_basis(everything.sold), factor).as_json())
        (folder / export.JUDGED).write_text(judged.as_json())
        everything.save(folder / export.HOUSES)
        version = registry.keep(folder, manifest)
    if switch:
        registry.switch(version, "made by a test")
    return version
