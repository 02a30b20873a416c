"""The price of one house: searched by id, explained, compared, and changed with what-if sliders."""

from typing import Any

from dash import (
    ALL,
    MATCH,
    ClientsideFunction,
    Input,
    Output,
    State,
    callback,
    clientside_callback,
    ctx,
    dcc,
    html,
    no_update,
)
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.pages.houses import api, fact_sliders, price_tiles, price_view, pricing
from dashboard.pages.houses.price_view import Asked
from dashboard.ui import charts, formats, model_charts, tiles
from dashboard.ui.tiles import TileState
from jobs.houses.price_model.published import UnknownHouseError
from lakehouse.errors import LakeError

NAME = "Price"
PATH = price_view.PATH
OLD_PATHS = ("/price",)
ORDER = 2
add_routes = api.add_routes


def layout(**query: str) -> Component:
    """The page before its answer; `?id=7129300520&grade=9` asks for a house with another grade."""
    given = query.pop("id", "")
    house = (given if isinstance(given, str) else given[-1]).strip()
    changes, ignored = pricing.usable(query)
    asked = {"id": house, "changes": changes, "ignored": ignored}
    intro = [html.H1("Price of a house"), html.P("What the live model says a house sells for, and why.")]
    parts = [price_tiles.what_if(), price_tiles.contributions(), price_tiles.comparables()]
    return html.Div(
        [
            html.Div(intro, className="intro"),
            dcc.Store(id="price-asked", data=asked),
            dcc.Store(id="price-shown", data=""),
            html.Div([price_tiles.search(house), price_tiles.answer(house), *parts], className="grid price-grid"),
        ]
    )


TILES = ("price-answer", "price-what-if", "price-contributions", "price-comparables")
STATES = [output for tile in TILES for output in tiles.outputs(tile)]


@callback(Output("price-found", "children"), Input("price-search", "value"), State("price-asked", "data"))
def search(typed: str | None, asked: Asked) -> list[Component]:
    """Houses whose id starts with what is typed."""
    wanted = (typed or "").strip()
    if not wanted or wanted == asked["id"]:
        return []
    try:
        return price_view.found_list(pricing.shared().pricer.search(wanted), wanted)
    except LakeError as error:
        return [html.P(formats.with_code(str(error)), className="caption")]


@callback(
    Output("price-sliders", "children"),
    Input("live", "data"),
    Input("price-reset", "n_clicks"),
    State("price-asked", "data"),
    State("price-sliders", "children"),
)
def build_sliders(_version: str | None, resets: int, asked: Asked, built: Any) -> list[Component]:
    """The sliders at the house's own values or those of the address; built once, and again by the reset button."""
    if not asked["id"] or (built and not ctx.triggered_id == "price-reset"):
        raise PreventUpdate
    try:
        original = pricing.shared().pricer.price(asked["id"])
    except LakeError:
        raise PreventUpdate from None
    return fact_sliders.sliders(original, {} if resets else asked["changes"])


@callback(
    charts.figure_of("price-waterfall"),
    Output("price-kpis", "children"),
    Output("price-imputed", "children"),
    Output("price-what-if-line", "children"),
    Output("price-what-if-changes", "children"),
    Output("price-contributions-rows", "children"),
    Output("price-comparables-rows", "children"),
    Output("price-facts-rows", "children"),
    Output("price-link", "value"),
    Output("price-json", "href"),
    Output("price-shown", "data"),
    *STATES,
    Input("live", "data"),
    Input("scheme", "data"),
    Input({"type": "what-if", "name": ALL}, "value"),
    State({"type": "what-if", "name": ALL}, "id"),
    State("price-reset", "n_clicks"),
    State("price-asked", "data"),
    State("price-shown", "data"),
)
def update(
    _version: str | None,
    scheme: str | None,
    values: list[float],
    ids: list[dict[str, str]],
    resets: int,
    asked: Asked,
    shown: str,
) -> tuple[Any, ...]:
    """Everything that the answer changes; nothing while it is the one shown."""
    chosen = {slider["name"]: value for slider, value in zip(ids, values, strict=True)}
    try:
        view = price_view.look(pricing.shared().pricer, asked, chosen, resets > 0)
    except LakeError as error:
        return _states(_trouble(error), _elsewhere(error))
    if view is None:
        return _states(TileState("empty", price_view.nothing_asked(_examples()), None), "No house is asked for yet.")
    digest = f"{scheme} {view.digest()}"
    if not scheme or digest == shown:
        raise PreventUpdate
    now = view.now
    parts = [(part.label, part.dollars) for part in now.contributions]
    figure = model_charts.waterfall(now.baseline, parts, now.price, scheme, f"price-{now.id}")
    link = price_view.address(now.id, view.changes)
    state = price_view.ready(now)
    first = TileState("ready", " ".join(asked["ignored"]), state.as_of)
    return (
        figure,
        price_view.kpis(view.original, now),
        price_view.imputed_line(now),
        price_view.what_if_line(view.original, now, view.changes),
        price_view.changes_line(view.original, view.changes),
        price_view.contribution_table(now),
        price_view.comparable_table(now.comparables),
        price_view.fact_table(now),
        link,
        price_view.api_address(now.id, view.changes),
        digest,
        *first,
        *[part for _tile in TILES[1:] for part in state],
    )


def _states(first: TileState, others: str) -> tuple[Any, ...]:
    other = TileState("empty" if first.state == "empty" else "error", formats.with_code(others), None)
    return (*[no_update] * 10, "", *first, *[part for _tile in TILES[1:] for part in other])


def _trouble(error: LakeError) -> TileState:
    if isinstance(error, UnknownHouseError):
        return TileState("error", price_view.unknown(error.what, error.nearest), None)
    missing = pricing.shared().models().live is None and not pricing.shared().models().error
    return TileState("empty" if missing else "error", formats.with_code(str(error)), None)


def _elsewhere(error: LakeError) -> str:
    return "There is no such house." if isinstance(error, UnknownHouseError) else str(error)


def _examples() -> list[Any]:
    try:
        return pricing.shared().pricer.search("7129300520", 1) or pricing.shared().pricer.search("", 1)
    except LakeError:
        return []


clientside_callback(
    ClientsideFunction("lake", "viewAddress"), Output("price-link", "title"), Input("price-link", "value")
)
clientside_callback(
    ClientsideFunction("houses", "copyLink"),
    Output("price-copy", "children"),
    Input("price-copy", "n_clicks"),
    State("price-link", "value"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("houses", "sliderText"),
    Output({"type": "what-if-value", "name": MATCH}, "children"),
    Input({"type": "what-if", "name": MATCH}, "value"),
    State({"type": "what-if", "name": MATCH}, "id"),
)
