"""Small pieces that the tables of the Health page share: states, errors, sizes."""

from dash import html
from dash.development.base_component import Component

from dashboard.ui import formats, tiles


def state_word(state: str, tone: str) -> Component:
    """A state as word and colour."""
    return html.Span(state, className="state", **tiles.attributes(tone=tone))


def error_row(name: str, kind: str, error: str, width: int, tone: str) -> Component:
    """A row for the error of the row above; red only while it is in force."""
    detail = html.Td(html.Div([html.Strong(f"{kind}: "), error]), colSpan=width, className="detail")
    return html.Tr(detail, className="error-row", **tiles.attributes(error_of=name, tone=tone))


def size(count: float | None) -> str:
    """1.2 MB"""
    if count is None:
        return formats.NOTHING
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
