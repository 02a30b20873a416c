"""The empty tiles of the price page, before an answer fills them."""

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.pages.houses import house_view
from dashboard.ui import charts, tiles

DAY = 26 * 3600  # retrained nightly: an older model is a sign that a night's run failed


def search(house: str) -> Component:
    """The box for an id; what it finds is listed under it."""
    box = dcc.Input(
        id="price-search",
        type="text",
        autoComplete="off",
        placeholder="Id of a house",
        value=house,
        maxLength=40,
        className="search",
    )
    return html.Div(
        [
            html.Label([html.Span("House id"), box], className="search-label"),
            html.Div(id="price-found", role="status"),
        ],
        className="all search-row",
        role="search",
        **tiles.attributes(aria_label="Search a house"),
    )


def answer(house: str) -> Component:
    """The numbers, and the link to exactly this view."""
    body = [
        html.Div(id="price-kpis", className="kpis inner"),
        html.P(id="price-imputed", className="caption"),
        html.Div(
            [
                html.Label(
                    [html.Span("Link to exactly this view"), dcc.Input(id="price-link", readOnly=True, size="10")],
                    className="search-label",
                ),
                html.Button("Copy", id="price-copy", type="button", className="button", n_clicks=0),
                *([dcc.Link("Its sales", href=house_view.address(house), className="button")] if house else []),
                html.A("as JSON", id="price-json", className="button", href="#"),
            ],
            className="link-row",
        ),
    ]
    body.append(html.Details([html.Summary("Show all facts"), html.Div(id="price-facts-rows")]))
    tile = tiles.tile("price-answer", "Price", "From the live model, with its 80 % interval.", *body, stale_after=DAY)
    return html.Div(tile, className="all")


def what_if() -> Component:
    """The sliders."""
    return tiles.tile(
        "price-what-if",
        "What if",
        "Change facts and see the price move; a mark shows the house's own value, all else stays as it is.",
        html.P(id="price-what-if-line", className="summary", role="status"),
        html.P(id="price-what-if-changes", className="caption"),
        html.Div(id="price-sliders", className="sliders"),
        html.Button("Back to the house as it is", id="price-reset", type="button", className="button", n_clicks=0),
        stale_after=DAY,
    )


def contributions() -> Component:
    """What the price is made of."""
    return tiles.tile(
        "price-contributions",
        "Why this price",
        "From the average house sold, each fact moves the price up or down; together they make the price.",
        charts.graph("price-waterfall"),
        html.Details([html.Summary("Show as table"), html.Div(id="price-contributions-rows")]),
        stale_after=DAY,
    )


def comparables() -> Component:
    """The sales that it leans on."""
    tile = tiles.tile(
        "price-comparables",
        "Comparable sales",
        "Sales near this house and before it, the most alike first; each leads to its own price.",
        html.Div(id="price-comparables-rows"),
        stale_after=DAY,
    )
    return html.Div(tile, className="all")
