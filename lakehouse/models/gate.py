"""Whether a new version goes live: its headline metric against the live version's, on the same hold-out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.contract.models import Better, Metric, Model

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class LiveMetrics:
    """The live version, and its metrics on the rows on which the new fit is judged."""

    version: str
    metrics: Metrics


@dataclass(frozen=True)
class Verdict:
    """Whether a new version goes live, and why."""

    goes_live: bool
    reason: str


def judge(model: Model, new: Metrics, live: LiveMetrics | None) -> Verdict:
    """The new version goes live unless its headline is worse than the live one's by more than the tolerance.

    A headline that is not a number never goes live.
    """
    metric, value = model.metric, new[model.headline]
    result = f"{metric.title} {_text(metric, value)}"
    if not math.isfinite(value):
        stays = f"{live.version} stays" if live else "none goes live"
        return Verdict(False, f"{result} on the hold-out is not a number, so {stays}.")
    if live is None:
        return Verdict(True, f"{result} on the hold-out; there was no live model to compare with.")
    before = live.metrics[model.headline]
    change = relative_change(before, value)
    against = f"{_text(metric, before)} of {live.version} on the same {model.rows} ({change:+.1%})"
    if worse_by(model, change) > model.tolerance:
        limit = f"more than {model.tolerance:.0%} worse"
        return Verdict(False, f"{result} against {against}: {limit}, so {live.version} stays.")
    return Verdict(True, f"{result} against {against}.")


def relative_change(before: float, value: float) -> float:
    """By which share of `before` the value is larger; infinite from zero, 0 where `before` is not a number."""
    if before == 0 and value:
        return math.copysign(math.inf, value)
    return (value - before) / abs(before) if before and math.isfinite(before) else 0.0


def worse_by(model: Model, change: float) -> float:
    """The change in the direction in which the headline gets worse."""
    return change if model.better is Better.LOWER else -change


def _text(metric: Metric, value: float) -> str:
    return f"{value:.2%}" if metric.is_share else f"{value:{metric.form}}"
