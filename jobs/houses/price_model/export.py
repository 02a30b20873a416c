"""A fitted model as data: coefficients and the basis of its features. Prices without Spark; numpy only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.houses.price_model import features, house_columns
from jobs.houses.price_model.house_columns import FACTS, Basis, Floats, Houses
from lakehouse.errors import DataError
from lakehouse.models import safe_arrays

FORMAT = 1
EXPORT, JUDGED, SPARK, HOUSES = "export.json", "judged.json", "spark", "houses.npz"


@dataclass(frozen=True)
class Fit:
    """A linear model of the log price: one coefficient per numeric feature and one per zip code."""

    basis: Basis
    intercept: float
    coefficients: Floats
    zip_coefficients: Floats  # in the order of basis.zips; a zip code never seen has none
    means: Floats  # of the numeric features over the training sales
    zip_mean: float  # mean zip coefficient over them

    def parts(self, houses: Houses) -> tuple[Floats, Floats]:
        """Features times coefficients, one row per house, and the coefficient of each house's zip code."""
        facts = house_columns.fill(houses.facts, self.basis)
        numbers = features.numbers(houses.ids, facts, self.basis)
        by_zip = np.append(self.zip_coefficients, 0.0)
        places = np.searchsorted(self.basis.zips, codes := house_columns.zips_of(facts, self.basis))
        return numbers * self.coefficients, by_zip[np.where(codes == "", len(self.basis.zips), places)]

    def prices(self, houses: Houses) -> Floats:
        """Dollars, one per house."""
        numbers, zips = self.parts(houses)
        dollars: Floats = np.exp(self.intercept + numbers.sum(axis=1) + zips)
        return dollars

    @property
    def baseline(self) -> float:
        """Log price of the average house of the training sales."""
        return float(self.intercept + self.means @ self.coefficients + self.zip_mean)

    def as_json(self) -> str:
        """The fit without the sold houses, which are in one file for all fits of a version."""
        basis = self.basis
        return json.dumps(
            {
                "format": FORMAT,
                "label": "log(price)",
                "intercept": self.intercept,
                "features": [
                    {"name": name, "explains": fact, "coefficient": float(self.coefficients[at]), "mean": float(mean)}
                    for at, ((name, fact), mean) in enumerate(
                        zip(features.feature_names(basis), self.means, strict=True)
                    )
                ],
                "zips": {
                    str(name): {"coefficient": float(coefficient), "lat": float(lat), "long": float(long)}
                    for name, coefficient, (lat, long) in zip(
                        basis.zips, self.zip_coefficients, basis.centres, strict=True
                    )
                },
                "zip_mean": self.zip_mean,
                "fills": dict(basis.fills),
                "days": list(basis.days),
            },
            indent=1,
        )


def from_json(text: str, sold: Houses) -> Fit:
    """The fit that `as_json` wrote, with the sold houses for comparison. Raises DataError for another format."""
    data: Mapping[str, Any] = json.loads(text)
    if data.get("format") != FORMAT:
        raise DataError(
            f"The model's export has format {data.get('format')}; this version reads format {FORMAT}.", "Train again."
        )
    zips = data["zips"]
    basis = Basis(
        data["fills"],
        np.array(list(zips), dtype=np.str_),
        np.array([(entry["lat"], entry["long"]) for entry in zips.values()]).reshape(-1, 2),
        (data["days"][0], data["days"][1]),
        sold,
    )
    filled = Basis(
        basis.fills,
        basis.zips,
        basis.centres,
        basis.days,
        Houses(sold.ids, house_columns.fill(sold.facts, basis), sold.prices),
    )
    fit = Fit(
        filled,
        data["intercept"],
        np.array([entry["coefficient"] for entry in data["features"]]),
        np.array([entry["coefficient"] for entry in zips.values()]),
        np.array([entry["mean"] for entry in data["features"]]),
        data["zip_mean"],
    )
    expected = [name for name, _ in features.feature_names(filled)]
    if [entry["name"] for entry in data["features"]] != expected:
        raise DataError(
            "The model was trained with other features than this version computes.",
            "Train again: `./spark-submit.sh jobs/houses/train.py`.",
        )
    return fit


@dataclass(frozen=True)
class KnownHouses:
    """Every house a version knows, ordered by id, one row each: its latest listing, sold or not.

    A house without a price (for sale, or not sold when the model was trained) is not a comparable sale.
    """

    houses: Houses
    for_sale: house_columns.Flags

    @property
    def sold(self) -> Houses:
        """The houses with a price: the comparable sales are among them."""
        return self.houses.take(~np.isnan(self.houses.prices))

    def judged(self) -> Houses:
        """The sold houses that the judged fit may see."""
        sold = self.sold
        return sold.take(np.array([not house_columns.is_hold_out(str(house)) for house in sold.ids], dtype=bool))

    def save(self, path: Path) -> None:
        """Write compressed numpy arrays without pickles."""
        facts = np.stack([self.houses.facts[name] for name in FACTS])
        with path.open("wb") as file:
            np.savez_compressed(
                file, ids=self.houses.ids, facts=facts, prices=self.houses.prices, for_sale=self.for_sale
            )


def load_houses(data: bytes, name: str = HOUSES) -> KnownHouses:
    """The houses of a version, from the bytes of its file. Raises DataError for other bytes."""
    arrays: dict[str, Any] = safe_arrays.load_arrays(data, name)
    if missing := sorted({"ids", "facts", "prices", "for_sale"} - {*arrays}):
        raise DataError(f"{name} has no {missing[0]}.", "Train again: `./spark-submit.sh jobs/houses/train.py`.")
    facts = dict(zip(FACTS, arrays["facts"], strict=True))
    return KnownHouses(Houses(arrays["ids"], facts, arrays["prices"]), arrays["for_sale"])
