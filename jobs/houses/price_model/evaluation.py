"""Evaluation of a fit: errors on hold-out houses, and its 80 % interval."""

from typing import Any

import numpy as np

from jobs.houses.price_model.export import Fit
from jobs.houses.price_model.house_columns import Floats, Houses

LOW, HIGH = 0.1, 0.9  # an 80 % interval
Metrics = dict[str, float]


def metrics(fit: Fit, houses: Houses, sales: Floats) -> tuple[Metrics, dict[str, float]]:
    """Errors over the sales of hold-out houses, and the interval as factors on the price.

    r2, mape and median_ape (fractions), rmse (dollars), each sale counted; `coverage` is the share of sales inside an
    interval calibrated on the other half of the houses.
    """
    predicted = fit.prices(houses)
    apart = np.abs(predicted - houses.prices) / houses.prices
    mean = np.average(houses.prices, weights=sales)
    unexplained = np.average((predicted - houses.prices) ** 2, weights=sales)
    spread = np.average((houses.prices - mean) ** 2, weights=sales)
    ratios = np.log(houses.prices / predicted)
    low, high = interval(ratios, sales)
    errors = {
        "r2": 1 - unexplained / spread if spread else float("nan"),
        "mape": np.average(apart, weights=sales),
        "median_ape": quantile(apart, sales, 0.5),
        "rmse": np.sqrt(unexplained),
        "coverage": coverage(ratios, sales, houses.ids),
    }
    return {name: float(value) for name, value in errors.items()}, {"low": np.exp(low), "high": np.exp(high)}


def quantile(values: Floats, weights: Floats, share: float) -> float:
    """The value below which this share of the weights lies."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1]).clip(max=len(values) - 1)])


def interval(ratios: Floats, sales: Floats) -> tuple[float, float]:
    """The log ratios of actual to predicted price between which 80 % of the sales lie (split conformal prediction:
    Lei et al., Distribution-Free Predictive Inference for Regression, 2018).
    """
    more = 1 + 1 / len(ratios)  # the next house counts as one more
    share = max(0.0, 1 - (1 - LOW) * more), min(1.0, HIGH * more)
    return quantile(ratios, sales, share[0]), quantile(ratios, sales, share[1])


def coverage(ratios: Floats, sales: Floats, ids: Any) -> float:
    """The share of sales inside the interval of the other half of the houses, for both halves."""
    first = np.array([sum(str(house).encode()) % 2 == 0 for house in ids])
    if first.all() or not first.any():
        return float("nan")
    inside = np.zeros(len(ratios), dtype=bool)
    for half in (first, ~first):
        low, high = interval(ratios[~half], sales[~half])
        inside[half] = (ratios[half] >= low) & (ratios[half] <= high)
    return float(np.average(inside, weights=sales))
