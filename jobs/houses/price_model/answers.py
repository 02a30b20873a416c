"""The answer for a house: price, interval, contributions and comparable sales. Without a JVM, by numpy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jobs.houses.price_model import comparables, features, house_columns, what_if
from jobs.houses.price_model.export import Fit
from jobs.houses.price_model.features import COMPARABLES, LOCATION
from jobs.houses.price_model.house_columns import FACTS, KM_PER_DEGREE, Houses

if TYPE_CHECKING:
    from jobs.houses.price_model.published import Model

LABELS = {
    "bedrooms": "Bedrooms", "bathrooms": "Bathrooms", "sqft_living": "Living area, sq ft", "sqft_lot": "Lot, sq ft",
    "floors": "Floors", "waterfront": "Waterfront", "view": "View, 0 to 4", "yr_built": "Year built",
    "condition": "Condition, 1 to 5", "grade": "Grade, 1 to 13", "sqft_above": "Above ground, sq ft",
    "sqft_basement": "Basement, sq ft", "yr_renovated": "Year renovated", "sqft_living15": "Neighbours' living area",
    "sqft_lot15": "Neighbours' lots", "listed_day": "Time of listing", LOCATION: "Location",
    COMPARABLES: "Comparable sales",
}  # fmt: skip
SHOWN_COMPARABLES = 5
NEAREST = 10
NOT_KNOWN = "not known"


class Contribution(NamedTuple):
    """The dollars by which one fact moves the price away from that of the average house."""

    name: str
    label: str
    value_text: str
    dollars: float


class Near(NamedTuple):
    """A house sold near another one: distance in km, price in dollars."""

    id: str
    km: float
    price: float
    sqft_living: float | None
    grade: float | None
    yr_built: float | None


class Comparable(NamedTuple):
    """An earlier sale near the house; `weight` is its share of the mean of the comparable sales."""

    id: str
    price: float
    km: float | None
    sqft_living: float
    grade: float | None
    yr_built: float
    bedrooms: float
    bathrooms: float
    listed_on: str | None
    weight: float


@dataclass(frozen=True)
class Answer:
    """A price with its 80 % interval in dollars, and its basis; `baseline` plus contributions are the price."""

    id: str
    price: float
    low: float
    high: float
    version: str
    cut_off: str | None
    trained_at: str
    for_sale: bool
    sold_price: float | None
    listed_on: str | None
    facts: dict[str, float | None]
    changed: dict[str, float]
    imputed: list[str]
    stand_ins: dict[str, float]  # the value used for each imputed fact
    unknown: list[str]  # known of no house, so not part of the price
    baseline: float
    contributions: list[Contribution] = field(default_factory=list)
    comparables: list[Comparable] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The answer as plain JSON values."""
        values = asdict(self)
        values["contributions"] = [part._asdict() for part in self.contributions]
        values["comparables"] = [sale._asdict() for sale in self.comparables]
        return values


def answer(model: "Model", house_id: str, changes: Mapping[str, float]) -> Answer:
    """The version's answer for a house."""
    at = model.row(house_id)
    original = model.known.houses.take(slice(at, at + 1))
    house = replace(original, facts={**original.facts, **_changed(changes)})
    numbers, zips = model.fit.parts(house)
    log_price = float(model.fit.intercept + numbers.sum() + zips[0])
    price, baseline = math.exp(log_price), math.exp(model.fit.baseline)
    full = house_columns.fill(house.facts, model.fit.basis)
    lacking = [name for name in FACTS if np.isnan(house.facts[name][0])]
    sold_price = float(original.prices[0])
    return Answer(
        id=house_id,
        price=price,
        low=price * model.interval.low,
        high=price * model.interval.high,
        version=model.version,
        cut_off=model.manifest.cut_off,
        trained_at=model.manifest.trained_at,
        for_sale=bool(model.known.for_sale[at]),
        sold_price=None if math.isnan(sold_price) else sold_price,
        listed_on=_day(float(original.facts["listed_day"][0])),
        facts={name: None if np.isnan(house.facts[name][0]) else float(house.facts[name][0]) for name in FACTS},
        changed=dict(changes),
        imputed=[name for name in lacking if name in model.fit.basis.fills],
        stand_ins={name: float(full[name][0]) for name in lacking if name in model.fit.basis.fills},
        unknown=[name for name in lacking if name not in model.fit.basis.fills],
        baseline=baseline,
        contributions=contributions(model.fit, numbers[0], float(zips[0]), price, full, lacking),
        comparables=_comparables(model.fit, house.ids, full, {"lat", "zipcode"} <= {*lacking}),
    )


def _changed(changes: Mapping[str, float]) -> dict[str, house_columns.Floats]:
    return {name: np.array([what_if.checked_fact(name, float(value))]) for name, value in changes.items()}


def contributions(
    fit: Fit, numbers: Any, zip_part: float, price: float, facts: Mapping[str, Any], lacking: Sequence[str] = ()
) -> list[Contribution]:
    """Dollars by fact, largest first; with the baseline they add up to the price.

    The model adds log prices. A difference of logs becomes dollars by the logarithmic mean of price and baseline
    (Ang, The LMDI approach to decomposition analysis, 2005), so that there is no remainder.
    """
    baseline = math.exp(fit.baseline)
    mean = baseline if math.isclose(price, baseline) else (price - baseline) / (math.log(price) - fit.baseline)
    logs: dict[str, float] = {LOCATION: zip_part - fit.zip_mean}
    for (_, fact), part in zip(features.feature_names(fit.basis), numbers - fit.means * fit.coefficients, strict=True):
        logs[fact] = logs.get(fact, 0.0) + float(part)
    parts = [
        Contribution(name, LABELS[name], _value(fit, name, facts, lacking), log * mean) for name, log in logs.items()
    ]
    return sorted(parts, key=lambda part: -abs(part.dollars))


def _value(fit: Fit, name: str, facts: Mapping[str, Any], lacking: Sequence[str]) -> str:
    if name == LOCATION:
        return _location(fit, facts, lacking)
    if name == COMPARABLES:
        return "nearest earlier sales"
    if name in lacking and name not in fit.basis.fills:
        return NOT_KNOWN
    value = float(facts[name][0])
    if name == "listed_day":
        return _day(value) or ""
    if name in ("waterfront", "yr_renovated") and not value:
        return "no" if name == "waterfront" else "never"
    return f"{value:g}" if name.startswith("yr_") or value < 1000 else f"{value:,.0f}"


def _location(fit: Fit, facts: Mapping[str, Any], lacking: Sequence[str]) -> str:
    """The location of the house: its zip code, or the nearest one when only its coordinates are known."""
    if "zipcode" not in lacking or len(fit.basis.zips):
        near = "near " if "zipcode" in lacking else ""
        return f"{near}zip code {int(facts['zipcode'][0]):05d}"
    return NOT_KNOWN if {"lat", "long"} & {*lacking} else "latitude and longitude"


def _comparables(fit: Fit, ids: Any, facts: Mapping[str, Any], nowhere: bool = False) -> list[Comparable]:
    """The comparable sales with the largest weights for the first of `ids`; `nowhere`: its place is unknown."""
    near, sold = comparables.neighbours(ids, facts, fit.basis), fit.basis.sold
    best = [at for at in np.argsort(-near.weights[0])[:SHOWN_COMPARABLES] if near.weights[0][at] > 0]
    sales = []
    for place in best:
        row = int(near.rows[0][place])
        fact = {name: float(column[row]) for name, column in sold.facts.items()}
        sales.append(
            Comparable(
                id=str(sold.ids[row]),
                price=float(sold.prices[row]),
                km=None if nowhere else float(near.km[0][place]),
                **{name: fact[name] for name in ("sqft_living", "yr_built", "bedrooms", "bathrooms")},
                grade=fact["grade"] if "grade" in fit.basis.fills else None,
                listed_on=_day(fact["listed_day"]),
                weight=float(near.weights[0][place]),
            )
        )
    return sales


def nearest(houses: Houses, house_id: str, lat: float | None, long: float | None) -> list[Near]:
    """The sold houses nearest to a place, whenever they were sold, without the house itself."""
    if lat is None or long is None:
        return []
    km = np.array([KM_PER_DEGREE, KM_PER_DEGREE * np.cos(np.radians(lat))])
    apart = np.sqrt(house_columns.km2(houses.facts, np.array([[lat, long]]), km))[:, 0]
    apart = np.where(np.isnan(houses.prices) | np.isnan(apart) | (houses.ids == house_id), np.inf, apart)
    order = [int(at) for at in np.argsort(apart, kind="stable")[:NEAREST] if np.isfinite(apart[at])]
    return [_near(houses, at, float(apart[at])) for at in order]


def _near(houses: Houses, at: int, km: float) -> Near:
    facts = [float(houses.facts[name][at]) for name in ("sqft_living", "grade", "yr_built")]
    sqft, grade, built = (None if np.isnan(value) else value for value in facts)
    return Near(str(houses.ids[at]), km, float(houses.prices[at]), sqft, grade, built)


def _day(days: float) -> str | None:
    return None if math.isnan(days) else str(date(1970, 1, 1) + timedelta(days=int(days)))
