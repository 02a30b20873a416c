"""A house's own page: its facts, all its sales, the price that the model gives it, and the sales around it."""

from typing import Any
from urllib.parse import unquote

from dash import Input, Output, State, callback, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.pages.houses import house_view, price_view, pricing
from dashboard.ui import formats, tiles
from dashboard.ui.tiles import TileState
from jobs.houses.price_model import answers
from jobs.houses.price_model.answers import Answer
from jobs.houses.price_model.published import UnknownHouseError
from lakehouse.errors import LakeError
from lakehouse.tables.reader import Reading

NAME = "House"
PATH = f"{house_view.PATH}/<house_id>"
OLD_PATHS = ("/house/<house_id>",)
TILES = ("house-sales", "house-facts", "house-near")
STATES = [output for tile in TILES for output in tiles.outputs(tile)]


def layout(house_id: str = "", **_query: str) -> Component:
    """The page of one house before its numbers."""
    house = unquote(house_id)[:80]
    links = [
        dcc.Link("Price and what-if", href=price_view.address(house, {}), className="button"),
        dcc.Link("All sales", href="/houses", className="button"),
        dcc.Link("Map", href="/houses/map", className="button"),
    ]
    intro = [html.H1(f"House {house}"), html.P("What it is, what was paid for it, and what sold around it.")]
    grid = [html.Div(_sales(), className="all"), _facts(), _near()]
    return html.Div(
        [
            html.Div(intro, className="intro"),
            html.Div(links, className="link-row page-links"),
            dcc.Store(id="house-asked", data=house),
            dcc.Store(id="house-shown", data=""),
            html.Div(tiles.loading_kpis(4), id="house-kpis", className="kpis"),
            html.Div(grid, className="grid"),
        ]
    )


def _sales() -> Component:
    meaning = "Every sale of this house in the history, resends too; the difference is the live model's."
    return tiles.tile("house-sales", "Sales", meaning, html.Div(id="house-sales-rows"))


def _facts() -> Component:
    return tiles.tile(
        "house-facts",
        "Facts",
        "As its newest sale says, else as the model knows them.",
        html.Div(id="house-facts-rows"),
    )


def _near() -> Component:
    meaning = f"The {answers.NEAREST} nearest houses of those that the live model knows as sold."
    return tiles.tile("house-near", "Nearest sales", meaning, html.Div(id="house-near-rows"), stale_after=26 * 3600)


@callback(
    Output("house-kpis", "children"),
    Output("house-sales-rows", "children"),
    Output("house-facts-rows", "children"),
    Output("house-near-rows", "children"),
    Output("house-shown", "data"),
    *STATES,
    Input("live", "data"),
    State("house-asked", "data"),
    State("house-shown", "data"),
)
def update(_version: str | None, house: str, shown: str) -> tuple[Any, ...]:
    """Everything on the page; nothing while neither the house's sales nor the model have changed."""
    reading = house_view.sales_of(house)
    sales = reading.frame
    key = f"{len(sales)} {reading.error} {_model()}"
    if key == shown:
        raise PreventUpdate
    answer, trouble = _answer(house)
    if sales.empty and answer is None:
        return (*[no_update] * 4, key, *_nothing(reading, trouble))
    known = house_view.facts(sales, answer)
    near = _around(house, known)
    return (
        house_view.kpis(sales, answer),
        house_view.sales_table(sales, answer.price if answer else None),
        house_view.fact_table(known),
        house_view.near_table(near),
        key,
        *_sales_state(reading),
        *TileState("ready", [], None),
        *_near_state(answer, trouble, bool(near)),
    )


def _model() -> str:
    """The live version, or why there is none."""
    try:
        return pricing.shared().pricer.model().version
    except LakeError as error:
        return str(error)


def _answer(house: str) -> tuple[Answer | None, str]:
    try:
        return pricing.shared().pricer.price(house), ""
    except LakeError as error:
        return None, error.what if isinstance(error, UnknownHouseError) else str(error)


def _around(house: str, known: dict[str, float | None]) -> list[answers.Near]:
    try:
        houses = pricing.shared().pricer.known().houses
    except LakeError:
        return []
    return answers.nearest(houses, house, known.get("lat"), known.get("long"))


def _sales_state(reading: Reading) -> TileState:
    if reading.error or len(reading.frame):
        return tiles.tile_state(reading, reading.committed_at, "")._replace(as_of=None)
    return TileState("empty", "No sale of this house is in the history yet.", None)


def _near_state(answer: Answer | None, trouble: str, found: bool) -> TileState:
    if found:
        return TileState("ready", [], tiles.moment(answer.trained_at) if answer else None)
    return TileState("empty", formats.with_code(trouble or "Where this house stands is not known."), None)


def _nothing(reading: Reading, trouble: str) -> list[Any]:
    """An id that neither the history nor the model knows."""
    sentence = reading.error or "No sale of this house is in the history."
    first = TileState("error", formats.with_code(f"{sentence} {trouble}"), None)
    other = TileState("error", formats.with_code(trouble), None)
    return [*first, *other, *other]
