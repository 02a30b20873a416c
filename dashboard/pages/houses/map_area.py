"""An area of the map that narrows the page, as pure functions: a box or an outline, in the address as numbers."""

import math
from typing import Any

import numpy as np
from dash import html
from dash.development.base_component import Component

from dashboard.pages.houses.map_view import FOR_SALE, SOLD, Shown
from dashboard.ui import formats, tiles

MOST_CORNERS = 100  # the browser sends fewer; an address may hold anything
Corners = np.ndarray[Any, Any]


def corners(area: str) -> Corners | None:
    """Longitude and latitude of each corner of `west,south,east,north`, or of an outline `long,lat,long,lat,…`.

    None for an empty area. Raises ValueError when it is neither.
    """
    if not area:
        return None
    numbers = [float(part) for part in area.split(",")]
    pairs = [(numbers[at], numbers[at + 1]) for at in range(0, len(numbers) - 1, 2)]
    if len(numbers) % 2 or not 2 <= len(pairs) <= MOST_CORNERS or not all(_on_earth(*pair) for pair in pairs):
        raise ValueError(area)
    if len(pairs) == 2:
        (west, south), (east, north) = pairs
        pairs = [(west, south), (east, south), (east, north), (west, north)]
    return np.array(pairs)


def _on_earth(long: float, lat: float) -> bool:
    return math.isfinite(long) and math.isfinite(lat) and abs(long) <= 180 and abs(lat) <= 90


def is_area(area: object) -> bool:
    """Whether the text of an address says an area, or none."""
    try:
        corners(area if isinstance(area, str) else "?")
    except ValueError:
        return False
    return True


def narrowed(shown: Shown, area: str) -> Shown:
    """Those of the houses that stand in the area."""
    around = corners(area)
    return shown if around is None else shown.where(_inside(around, shown.long, shown.lat))


def _inside(around: Corners, long: Corners, lat: Corners) -> Corners:
    """Which points a ray to the east leaves the outline from: those that cross it an odd number of times."""
    found = np.zeros(len(long), dtype=bool)
    for (x, y), (next_x, next_y) in zip(around, np.roll(around, -1, axis=0), strict=True):
        if y != next_y:
            crossing = (next_x - x) * (lat - y) / (next_y - y) + x
            found ^= ((y > lat) != (next_y > lat)) & (long < crossing)
    return found


def kpis(shown: Shown, known: int) -> list[Component]:
    """The houses that are left, in numbers; `known` is how many there are in all."""
    sold, offered = (shown.prices[shown.kinds == kind] for kind in (SOLD, FOR_SALE))
    return [
        tiles.kpi("map-kpi-houses", "Houses", _count(len(shown.ids)), f"of {known:,} that the model knows"),
        tiles.kpi("map-kpi-median", "Median price", _median(shown.prices), "paid, or predicted where not sold"),
        tiles.kpi("map-kpi-sold", "Sold", _count(len(sold)), ["median paid ", _median(sold)]),
        tiles.kpi("map-kpi-for-sale", "For sale", _count(len(offered)), ["median predicted ", _median(offered)]),
    ]


def _count(number: int) -> Component:
    return html.Span(formats.count(number), **tiles.attributes(value=str(number)))


def _median(prices: Corners) -> Component:
    value = float(np.median(prices)) if len(prices) else None
    return html.Span(formats.money(value), **tiles.attributes(value=None if value is None else str(value)))
