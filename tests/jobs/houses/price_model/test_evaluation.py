"""What a fit is judged by, and when it may go live."""

import re

import numpy as np
import pytest

from jobs.houses.price_model import evaluation
from jobs.houses.price_model.export import Fit
from jobs.houses.price_model.house_columns import Houses
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models import gate
from lakehouse.models.gate import LiveMetrics
from tests.jobs.houses.price_model import fitting


class KnownPrices:
    """A fit whose prices are given."""

    def __init__(self, prices: list[float]) -> None:
        self.given = np.array(prices)

    def prices(self, _houses: Houses) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return self.given


def test_metrics_by_hand() -> None:
    houses = fitting.real_houses().take(slice(0, 4))
    houses = Houses(houses.ids, houses.facts, np.array([100.0, 200.0, 300.0, 400.0]))
    fit: Fit = KnownPrices([110.0, 180.0, 300.0, 400.0])  # type: ignore[assignment]
    found, _ = evaluation.metrics(fit, houses, np.ones(4))
    assert found["mape"] == pytest.approx((0.1 + 0.1) / 4)
    assert found["rmse"] == pytest.approx(np.sqrt(500 / 4))
    assert found["r2"] == pytest.approx(1 - 500 / 50_000)
    twice, _ = evaluation.metrics(fit, houses, np.array([2.0, 1.0, 1.0, 1.0]))
    assert twice["mape"] == pytest.approx((0.2 + 0.1) / 5), "each sale counts, not each house"


def test_the_interval_holds_four_fifths_of_what_it_was_not_calibrated_on() -> None:
    dice = np.random.default_rng(7)
    ratios = dice.standard_t(4, 20_000) * 0.1
    low, high = evaluation.interval(ratios[:10_000], np.ones(10_000))
    inside = ((ratios[10_000:] >= low) & (ratios[10_000:] <= high)).mean()
    assert 0.78 < inside < 0.82


@pytest.mark.parametrize(
    ("new", "live", "goes_live", "words"),
    [
        (0.13, None, True, "no live model"),
        (0.13, 0.13, True, r"\+0\.0%"),
        (0.1325, 0.13, True, r"\+1\.9%"),
        (0.1328, 0.13, False, "v0003 stays"),
        (0.10, 0.13, True, r"-23\.1%"),
    ],
)
def test_the_gate(new: float, live: float | None, goes_live: bool, words: str) -> None:
    verdict = gate.judge(PRICE_MODEL, {"mape": new}, None if live is None else LiveMetrics("v0003", {"mape": live}))
    assert verdict.goes_live is goes_live

    assert re.search(words, verdict.reason)
