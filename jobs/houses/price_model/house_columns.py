"""Houses as columns of numbers, and how gaps in their facts are filled. numpy only."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Texts = np.ndarray[Any, np.dtype[np.str_]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Columns = Mapping[str, Floats]

# A house as the model takes it, all numbers; listed_day counts days since 1970-01-01.
FACTS = (
    "bedrooms", "bathrooms", "sqft_living", "sqft_lot", "floors", "waterfront", "view", "yr_built", "condition",
    "grade", "sqft_above", "sqft_basement", "yr_renovated", "zipcode", "lat", "long", "sqft_living15", "sqft_lot15",
    "listed_day",
)  # fmt: skip
HOLD_OUT_PERCENT = 20
FEWEST_HOLD_OUT = 50  # different sales that a model needs
KM_PER_DEGREE = 111.2  # of latitude
# The value of a fact that no sale has: its features are then equal for all houses and explain nothing.
_NEVER_KNOWN = {"grade": 7.0, "condition": 3.0}


@dataclass(frozen=True)
class Houses:
    """Houses as columns of equal length: ids, the facts by name (NaN when unknown), and prices (NaN when not sold)."""

    ids: Texts
    facts: Columns
    prices: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Any) -> "Houses":
        """The houses at these positions, or where this mask is true."""
        return Houses(self.ids[rows], {name: column[rows] for name, column in self.facts.items()}, self.prices[rows])


@dataclass(frozen=True)
class Basis:
    """What features need besides the house: values for missing facts, zip code centres, comparable sales."""

    fills: Mapping[str, float]  # medians, without facts that no sale has
    zips: Texts
    centres: Floats  # one row per zip code: latitude, longitude
    days: tuple[float, float]  # of the first and last listing; the market's trend is constant outside them
    sold: Houses  # one sale per house, the latest, ordered by id; nothing missing

    @property
    def km(self) -> Floats:
        """Kilometres per degree of latitude and longitude where the houses are."""
        return np.array([KM_PER_DEGREE, KM_PER_DEGREE * np.cos(np.radians(self.stand_in("lat")))])

    def stand_in(self, name: str) -> float:
        """The value used where the fact is missing."""
        return self.fills.get(name, self.days[1] if name == "listed_day" else _NEVER_KNOWN.get(name, 0.0))


def is_hold_out(house_id: str) -> bool:
    """Whether the house is in the hold-out: decided by its id, so that all its sales are on one side."""
    return zlib.crc32(house_id.encode()) % 100 < HOLD_OUT_PERCENT


def fit_basis(sold: Houses) -> Basis:
    """The basis from sales, one per house: medians, the mean place of each zip code, the sales themselves."""
    fills = {name: float(np.nanmedian(column)) for name, column in sold.facts.items() if not np.isnan(column).all()}
    seen = _days_seen(sold.facts)
    if "listed_day" in fills:
        fills["listed_day"] = seen[1]
    zips, centres = _centres(sold.facts)
    sold = sold.take(np.argsort(sold.ids, kind="stable"))
    basis = Basis(fills, zips, centres, seen, sold)
    return Basis(fills, zips, centres, seen, Houses(sold.ids, fill(sold.facts, basis), sold.prices))


def _days_seen(facts: Columns) -> tuple[float, float]:
    """The first and the last day of a listing; when none is known, the year after the newest house was built."""
    days, built = facts["listed_day"], facts["yr_built"]
    if not np.isnan(days).all():
        return float(np.nanmin(days)), float(np.nanmax(days))
    newest = float(np.nanmax(built)) if not np.isnan(built).all() else 1970.0
    day = float(np.ceil((newest + 1 - 1970) * 365.2425))
    return day, day


def _centres(facts: Columns) -> tuple[Texts, Floats]:
    whole = ~(np.isnan(facts["zipcode"]) | np.isnan(facts["lat"]) | np.isnan(facts["long"]))
    codes, group = np.unique(facts["zipcode"][whole], return_inverse=True)
    houses = np.maximum(np.bincount(group, minlength=len(codes)), 1)
    means = [np.bincount(group, facts[name][whole], len(codes)) / houses for name in ("lat", "long")]
    return zip_names(codes), np.stack(means, axis=1)


def zip_names(codes: Floats) -> Texts:
    """Zip codes as text; '' where there is none."""
    return np.array(["" if np.isnan(code) else f"{int(code):05d}" for code in codes], dtype=np.str_)


def zips_of(facts: Columns, basis: Basis) -> Texts:
    """Each house's zip code where it is one of the basis; '' where it is not, or where the sales have none."""
    codes = zip_names(facts["zipcode"])
    return np.where(np.isin(codes, basis.zips), codes, "")


def fill(facts: Columns, basis: Basis) -> dict[str, Floats]:
    """The facts without gaps. A missing place becomes its zip code's centre, a missing zip code that of the nearest
    centre, a missing listing date the newest one, anything else the median of the training sales.
    """
    full = {name: np.where(np.isnan(facts[name]), basis.stand_in(name), facts[name]) for name in FACTS}
    codes = zip_names(facts["zipcode"])
    places = np.searchsorted(basis.zips, codes).clip(max=max(len(basis.zips) - 1, 0))
    known = basis.zips[places] == codes if len(basis.zips) else np.zeros(len(codes), bool)
    for axis, name in enumerate(("lat", "long")):
        missing = np.isnan(facts[name]) & known
        full[name][missing] = basis.centres[places[missing], axis]
    lost = np.isnan(facts["zipcode"]) & ~np.isnan(facts["lat"]) & ~np.isnan(facts["long"])
    if lost.any() and len(basis.zips):
        nearest = km2(full, basis.centres, basis.km)[lost].argmin(axis=1)
        full["zipcode"][lost] = basis.zips[nearest].astype(float)
    return full


def km2(facts: Columns, points: Floats, km: Floats) -> Floats:
    """Squared kilometres from each house to each point (latitude, longitude)."""
    north = (facts["lat"][:, None] - points[None, :, 0]) * km[0]
    east = (facts["long"][:, None] - points[None, :, 1]) * km[1]
    squares: Floats = north * north + east * east
    return squares


def age(facts: Columns) -> Floats:
    """Years between building and listing, 0 to 200."""
    year = np.floor(1970 + facts["listed_day"] / 365.2425)
    return np.clip(year - facts["yr_built"], 0, 200)


def log(column: Floats) -> Floats:
    """The logarithm; values below 1 count as 1."""
    return np.log(np.maximum(column, 1.0))


def columns(ids: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> Houses:
    """Houses from columns of plain values; None is NaN, `price` may be absent."""
    facts = {name: np.array([np.nan if v is None else v for v in rows[name]], dtype=float) for name in FACTS}
    prices = rows.get("price", [None] * len(ids))
    return Houses(
        np.array(ids, dtype=np.str_), facts, np.array([np.nan if v is None else v for v in prices], dtype=float)
    )
