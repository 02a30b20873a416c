"""The tile that compares speed and batch layer, for domains that have both."""

from dash import html
from dash.development.base_component import Component

from dashboard.live.domain_view import LayersView
from dashboard.ui import formats, tiles
from lakehouse.tables.reader import Reading

NIGHTLY = 26 * 3600  # seconds; recomputed every night
ROWS = 50


def tile(tile_id: str, title: str, meaning: str) -> Component:
    """The tile before its first data; its body has the id `<tile_id>-body`."""
    return tiles.tile(tile_id, title, meaning, html.Div(id=f"{tile_id}-body"), stale_after=NIGHTLY)


def body(tile_id: str, layers: LayersView) -> list[Component]:
    """How far the layers agree, and the rows in which they do not, with all their columns."""
    parts: list[Component] = [html.P(agreement(layers.parity), id=f"{tile_id}-summary", className="summary")]
    frame = layers.parity.frame.head(ROWS)
    if frame.empty:
        return parts
    names = [str(name) for name in frame.columns]
    rows = [
        html.Tr([tiles.cell(name, str(value), number=False) for name, value in zip(names, row, strict=True)])
        for row in frame.itertuples(index=False)
    ]
    return [*parts, tiles.table(f"{tile_id}-table", dict.fromkeys(names, "text"), rows, "Rows that differ")]


def agreeing(parity: Reading) -> float | None:
    """The share of windows that are the same in both layers; None before the first recomputation."""
    return None if not parity.total else (parity.total - len(parity.frame)) / parity.total


def agreement(parity: Reading) -> str:
    """How far speed and batch layer agree: "118 of 120 windows agree; 2 differ by late, resent"."""
    differing = len(parity.frame)
    sentence = f"{formats.count(parity.total - differing)} of {formats.plural(parity.total, 'window')} agree"
    if not differing:
        return sentence
    causes = {cause for causes in parity.frame["cause"] for cause in str(causes).split(" and ")}
    differ = "differs" if differing == 1 else "differ"
    return f"{sentence}; {differing} {differ} by {', '.join(sorted(causes))}"
