"""The map of houses as pure functions: which are shown, their figure, and the same as a table. No tiles, no network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.pages.houses import house_view, price_view
from dashboard.pages.houses.pricing import ScoredCatalogue
from dashboard.ui import charts, formats, tiles

ALL, FOR_SALE, SOLD = "all", "for-sale", "sold"
SHOWS = {ALL: "All", FOR_SALE: "For sale", SOLD: "Sold"}
TABLE_ROWS = 100
# Name, size and opacity: different in form, as the colour is the price; those for sale have a ring.
_KINDS = {SOLD: ("sold", 5, 0.9), "later": ("not sold yet", 3, 0.6), FOR_SALE: ("for sale", 6, 1.0)}
RING = 2.5
# After Viridis; brighter at its lower end on dark.
_SCALES = {"light": "Viridis", "dark": ["#5b7bb8", "#2a9d98", "#40bd72", "#90d743", "#fde725"]}
# An empty map through which the page shows: a style that asks nobody for tiles or fonts. Plotly leaves out whatever is
# empty when it draws a map again, so nothing in it is.
_GROUND: dict[str, Any] = {
    "version": 8,
    "sources": {"nothing": {"type": "geojson", "data": {"type": "Point", "coordinates": [0, 0]}}},
    "layers": [{"id": "ground", "type": "background", "paint": {"background-color": "rgba(0, 0, 0, 0)"}}],
}
FITTED = (0.2, 99.8)  # percentiles of latitude and longitude in the first view
DRAWN_PIXELS = (640, 560)  # the first view fits a box of this size


@dataclass(frozen=True)
class Shown:
    """The houses drawn, as columns: what was paid for those sold, what the model says for the others."""

    ids: np.ndarray[Any, Any]
    kinds: np.ndarray[Any, Any]
    lat: np.ndarray[Any, Any]
    long: np.ndarray[Any, Any]
    zips: np.ndarray[Any, Any]
    prices: np.ndarray[Any, Any]
    predicted: np.ndarray[Any, Any]

    def where(self, wanted: np.ndarray[Any, Any]) -> "Shown":
        """Those of the houses that are wanted."""
        return Shown(*(getattr(self, column.name)[wanted] for column in fields(self)))


def houses(found: ScoredCatalogue, show: str, zipcode: str) -> Shown:
    """Those of the filter that have a place."""
    known, for_sale = found.model.known.houses, found.model.known.for_sale
    facts = known.facts
    sold = ~np.isnan(known.prices)
    kinds = np.where(for_sale, FOR_SALE, np.where(sold, SOLD, "later"))
    wanted = ~(np.isnan(facts["lat"]) | np.isnan(facts["long"]))
    if show in (FOR_SALE, SOLD):
        wanted &= kinds == show
    if zipcode.isdigit():
        wanted &= facts["zipcode"] == int(zipcode)
    paid = np.where(sold & ~for_sale, known.prices, found.predicted)
    columns = (known.ids, kinds, facts["lat"], facts["long"], facts["zipcode"], paid, found.predicted)
    return Shown(*(column[wanted] for column in columns))


def has_places(found: ScoredCatalogue) -> bool:
    """Whether any house can be drawn."""
    facts = found.model.known.houses.facts
    return not (np.isnan(facts["lat"]) | np.isnan(facts["long"])).all()


def zips(found: ScoredCatalogue) -> list[str]:
    """The zip codes there are."""
    codes = found.model.known.houses.facts["zipcode"]
    return [f"{int(code):05d}" for code in np.unique(codes[~np.isnan(codes)])]


def caption(shown: Shown) -> str:
    """How many houses are drawn."""
    counts = [f"{int((shown.kinds == kind).sum()):,} {name}" for kind, (name, _size, _opacity) in _KINDS.items()]
    return f"{formats.plural(len(shown.ids), 'house')}: {', '.join(counts)}"


def figure(shown: Shown, scheme: str, revision: str) -> go.Figure:
    """The points on a plain ground, rounded so as to be small.

    Not Scattergl: it compiles code in the browser, which the page's policy forbids.
    """
    drawn = charts.blank(scheme, revision)
    thousands = np.round(shown.prices / 1000).clip(0, 65_535).astype(np.uint16)
    low, high = (float(value) for value in np.percentile(thousands, [5, 95])) if len(thousands) else (0.0, 1.0)
    for kind, (name, size, opacity) in _KINDS.items():
        part = shown.kinds == kind
        place = {"lat": shown.lat[part].astype(np.float32), "lon": shown.long[part].astype(np.float32)}
        if kind == FOR_SALE:
            ring = {"size": size + RING, "color": charts.INK[scheme][0]}
            same = {"marker": {"opacity": 1}}
            drawn.add_scattermap(**place, hoverinfo="skip", marker=ring, unselected=same)
        drawn.add_scattermap(
            **place,
            name=name,
            customdata=shown.ids[part].tolist(),
            marker={"color": thousands[part], "coloraxis": "coloraxis", "size": size, "opacity": opacity},
            unselected={"marker": {"opacity": opacity}},  # an area is shown by the veil around it: assets/houses/map.js
            hovertemplate=f"%{{customdata}}, {name}: $%{{marker.color:,}}k<extra></extra>",
        )
    bar = {"orientation": "h", "y": -0.02, "yanchor": "top", "thickness": 8, "len": 0.8, "outlinewidth": 0, "nticks": 6}
    dollars = {"tickprefix": "$", "ticksuffix": "k"}
    drawn.update_layout(
        coloraxis={"colorscale": _SCALES[scheme], "cmin": low, "cmax": high, "colorbar": bar | dollars},
        showlegend=False,
        margin={"t": 8},
        map={"style": _GROUND, **_view(shown)},
    )
    drawn.layout.xaxis, drawn.layout.yaxis = None, None
    return drawn


def _view(shown: Shown) -> dict[str, Any]:
    """Centre and zoom that show the houses drawn, but a few far ones; a world of zoom z is 512 * 2**z pixels wide."""
    if not len(shown.ids):
        return {"center": {"lat": 0, "lon": 0}, "zoom": 0}
    south, north = (float(value) for value in np.percentile(shown.lat, FITTED))
    west, east = (float(value) for value in np.percentile(shown.long, FITTED))
    degrees = max(east - west, 0.01), max(north - south, 0.01) / math.cos(math.radians((north + south) / 2))
    zoom = min(math.log2(360 * pixels / 512 / size) for pixels, size in zip(DRAWN_PIXELS, degrees, strict=True))
    return {"center": {"lat": (south + north) / 2, "lon": (west + east) / 2}, "zoom": round(zoom, 2)}


def table(shown: Shown) -> Component:
    """The dearest of the houses drawn, with links: the map for those who do not use it."""
    order = np.argsort(-shown.prices, kind="stable")[:TABLE_ROWS]
    rows = [
        html.Tr(
            [
                tiles.cell("id", price_view.house_link(str(shown.ids[at])), str(shown.ids[at]), number=False),
                tiles.cell("kind", _KINDS[str(shown.kinds[at])][0], number=False),
                tiles.cell("zip", "" if np.isnan(shown.zips[at]) else f"{int(shown.zips[at]):05d}", number=False),
                tiles.cell("price", formats.money(float(shown.prices[at])), float(shown.prices[at])),
                tiles.cell("predicted", formats.money(float(shown.predicted[at])), float(shown.predicted[at])),
                tiles.cell("sales", dcc.Link("sales", href=house_view.address(str(shown.ids[at])))),
            ],
            **tiles.attributes(house=str(shown.ids[at])),
        )
        for at in order
    ]
    heads = {
        "House": "text",
        "State": "text",
        "Zip": "text",
        "Price": "number",
        "Predicted": "number",
        "Sales": "number",
    }
    return tiles.table("map-table", heads, rows, f"The dearest of the houses shown, {TABLE_ROWS} at most")


def options(codes: Sequence[str]) -> list[dict[str, str]]:
    """Zip codes as a picker takes them."""
    return [{"value": code, "label": code} for code in codes]
