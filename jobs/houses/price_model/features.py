"""The features of a house: numbers from its facts and from earlier sales near it. numpy only.

Training in Spark and pricing without Spark call the same `numbers`, so the two cannot drift apart.
"""

from collections.abc import Callable

import numpy as np

from jobs.houses.price_model import comparables
from jobs.houses.price_model.house_columns import Basis, Columns, Floats, Texts, age, km2, log

LOCATION, COMPARABLES = "location", "comparables"  # the facts by which these features explain the price
NEARNESS_KM = 4.0  # how far a zip code's price level extends beyond its border


def _since_renovation(f: Columns) -> Floats:
    year = np.floor(1970 + f["listed_day"] / 365.2425)
    return np.where(f["yr_renovated"] > 0, np.clip(year - f["yr_renovated"], 0, 60) / 30, 0.0)


def _is(name: str, value: int) -> Callable[[Columns], Floats]:
    return lambda f: (f[name] == value).astype(float)


def _year(f: Columns) -> Floats:
    return 2 * np.pi * f["listed_day"] / 365.2425


# name, the fact by which it explains the price, its function of facts without gaps
TERMS: tuple[tuple[str, str, Callable[[Columns], Floats]], ...] = (
    ("log_living", "sqft_living", lambda f: log(f["sqft_living"])),
    ("log_living_squared", "sqft_living", lambda f: (log(f["sqft_living"]) - 7.5) ** 2),
    ("log_lot", "sqft_lot", lambda f: log(f["sqft_lot"])),
    ("log_above", "sqft_above", lambda f: log(f["sqft_above"])),
    ("log_living15", "sqft_living15", lambda f: log(f["sqft_living15"])),
    ("log_lot15", "sqft_lot15", lambda f: log(f["sqft_lot15"])),
    ("has_basement", "sqft_basement", lambda f: (f["sqft_basement"] > 0).astype(float)),
    ("basement_share", "sqft_basement", lambda f: f["sqft_basement"] / np.maximum(f["sqft_living"], 1)),
    ("grade", "grade", lambda f: f["grade"]),
    ("grade_squared", "grade", lambda f: (f["grade"] - 7) ** 2),
    ("living_x_grade", "grade", lambda f: (log(f["sqft_living"]) - 7.5) * (f["grade"] - 7)),
    ("condition", "condition", lambda f: f["condition"]),
    *((f"condition_{value}", "condition", _is("condition", value)) for value in (1, 2, 5)),
    ("view", "view", lambda f: f["view"]),
    *((f"view_{value}", "view", _is("view", value)) for value in (1, 2, 3, 4)),
    ("waterfront", "waterfront", lambda f: f["waterfront"]),
    ("bathrooms", "bathrooms", lambda f: np.minimum(f["bathrooms"], 10)),
    ("bedrooms", "bedrooms", lambda f: np.minimum(f["bedrooms"], 8)),
    ("floors", "floors", lambda f: np.minimum(f["floors"], 5)),
    ("age", "yr_built", age),
    ("age_squared", "yr_built", lambda f: (age(f) / 50) ** 2),
    ("age_cubed", "yr_built", lambda f: (age(f) / 50) ** 3),
    ("is_new", "yr_built", lambda f: (age(f) <= 1).astype(float)),
    ("is_renovated", "yr_renovated", lambda f: (f["yr_renovated"] > 0).astype(float)),
    ("since_renovation", "yr_renovated", _since_renovation),
    ("trend", "listed_day", lambda f: (f["listed_day"] - 16191) / 365.2425),
    ("season_sin", "listed_day", lambda f: np.sin(_year(f))),
    ("season_cos", "listed_day", lambda f: np.cos(_year(f))),
)


def feature_names(basis: Basis) -> list[tuple[str, str]]:
    """Name and explained fact of each column of `numbers`."""
    terms = [(name, fact) for name, fact, _ in TERMS]
    near = [(f"near_{name}", LOCATION) for name in basis.zips]
    return [*terms, *((name, COMPARABLES) for name in comparables.TERMS), *near]


def numbers(ids: Texts, facts: Columns, basis: Basis) -> Floats:
    """The model's numeric features, one row per house, in the order of `feature_names`; the facts have no gaps.

    The weighted mean of comparable sales is accompanied by their differences from the house, so that a linear model can
    correct it for them, as an appraiser does.
    """
    within = {**facts, "listed_day": np.clip(facts["listed_day"], *basis.days)}
    terms = [make(within) for _, _, make in TERMS]
    near = np.exp(-km2(facts, basis.centres, basis.km) / (2 * NEARNESS_KM**2))
    return np.column_stack([*terms, comparables.terms(ids, facts, basis), near])
