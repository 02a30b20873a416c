"""Comparable sales: the nearest earlier ones of other houses, weighted by nearness and likeness. numpy only."""

from typing import Any, NamedTuple

import numpy as np

from jobs.houses.price_model.house_columns import KM_PER_DEGREE, Basis, Columns, Floats, Texts, age, km2, log

NEIGHBOURS = 30
BAND_KM = 4.0  # the first search radius; a larger one only where it has too few neighbours
FADE_KM = 0.5  # the weight of a comparable sale falls by 1/e over this distance
# How much two houses may differ and still be comparable: the standard deviation of a Gaussian weight for each trait.
ALIKE = (
    ("sqft_living", 0.35, True),
    ("grade", 1.0, False),
    ("age", 30.0, False),
    ("sqft_lot", 0.8, True),
    ("outlook", 1.5, False),
    ("condition", 1.5, False),
)


class Neighbours(NamedTuple):
    """Each house's nearest earlier sales of others: positions in `sold`, weights adding to 1 (or all 0), kilometres."""

    rows: Any
    weights: Floats
    km: Floats


TERMS = ("comparables_log_price", *(f"comparables_{name}" for name, _, _ in ALIKE), "no_comparables")


def terms(ids: Texts, facts: Columns, basis: Basis) -> Floats:
    """The features named TERMS, one row per house: weighted mean log price of its neighbours, how they differ from it,
    and whether there are none.
    """
    nearest = neighbours(ids, facts, basis)
    none = nearest.weights.sum(axis=1) == 0
    theirs, ours = _alike(basis.sold.facts), _alike(facts)
    prices = (nearest.weights * np.log(basis.sold.prices)[nearest.rows]).sum(axis=1) if len(basis.sold) else 0.0 * none
    differences = np.einsum("nk,nkc->nc", nearest.weights, theirs[nearest.rows] - ours[:, None, :])
    return np.column_stack([prices, np.where(none[:, None], 0.0, differences), none.astype(float)])


def _alike(facts: Columns) -> Floats:
    traits = {**facts, "age": np.minimum(age(facts), 100), "outlook": facts["view"] + 2 * facts["waterfront"]}
    return np.column_stack([log(traits[name]) if is_log else traits[name] for name, _, is_log in ALIKE])


def neighbours(ids: Texts, facts: Columns, basis: Basis) -> Neighbours:
    """The nearest sales of other houses listed before each house, weighted by nearness and likeness."""
    sold, count = basis.sold, min(NEIGHBOURS, len(basis.sold))
    result = Neighbours(np.zeros((len(ids), count), int), np.zeros((len(ids), count)), np.zeros((len(ids), count)))
    own = np.searchsorted(sold.ids, ids).clip(max=len(sold) - 1)
    own = np.where(sold.ids[own] == ids, own, -1)
    northward = np.argsort(sold.facts["lat"], kind="stable")
    traits = _alike(sold.facts), _alike(facts)
    for part in np.array_split(np.argsort(facts["lat"], kind="stable"), len(ids) // 256 + 1):
        rows, km = _nearest(part, own, facts, basis, _band(facts["lat"][part], basis, northward), count)
        far = km.max(axis=1) > BAND_KM  # one outside the band might be nearer
        if far.any():
            rows[far], km[far] = _nearest(part[far], own, facts, basis, northward, count)
        result.rows[part], result.km[part] = rows, km
        result.weights[part] = _weights(traits[0][rows], traits[1][part], km)
    return result


def _band(latitudes: Floats, basis: Basis, northward: Any) -> Any:
    """The sold houses within BAND_KM north or south of these: only to them distances are computed."""
    margin = BAND_KM / KM_PER_DEGREE
    ends = np.searchsorted(
        basis.sold.facts["lat"][northward], [latitudes.min() - margin, latitudes.max() + margin], side="right"
    )
    return northward[ends[0] : ends[1]]


def _nearest(part: Any, own: Any, facts: Columns, basis: Basis, among: Any, count: int) -> tuple[Any, Floats]:
    """Positions and distances of the `count` nearest earlier sales among these; infinity where there are fewer."""
    sold = basis.sold.facts
    points = np.column_stack([sold["lat"][among], sold["long"][among]])
    ours = {name: facts[name][part] for name in ("lat", "long", "listed_day")}
    squares = km2(ours, points, basis.km) + among * 1e-12  # breaks ties always the same way
    squares[ours["listed_day"][:, None] <= sold["listed_day"][among][None, :]] = np.inf
    squares[own[part][:, None] == among[None, :]] = np.inf
    if len(among) < count:
        return np.zeros((len(part), count), int), np.full((len(part), count), np.inf)
    places = np.argpartition(squares, count - 1, axis=1)[:, :count]
    return among[places], np.sqrt(np.take_along_axis(squares, places, axis=1))


def _weights(theirs: Floats, ours: Floats, km: Floats) -> Floats:
    apart = (theirs - ours[:, None, :]) / np.array([scale for _, scale, _ in ALIKE])
    logs = -0.5 * (apart**2).sum(axis=2) - km / FADE_KM
    highest = logs.max(axis=1, keepdims=True)
    weights = np.exp(logs - np.where(np.isfinite(highest), highest, 0.0))
    shares: Floats = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    return shares
