"""The price of one house: searched by id, explained, compared, and changed with what-if sliders."""

from dataclasses import dataclass
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
from dashboard.pages.houses.price_view import Asked, View
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
            *(dcc.Store(id=f"price-shown-{part}", data="") for part in ("answer", "what-if", "reasons")),
            html.Div([price_tiles.search(house), price_tiles.answer(house), *parts], className="grid price-grid"),
        ]
    )


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


# What an answer depends on: another live version, the sliders, the address.
_ASKED = (
    Input("live", "data"),
    Input({"type": "what-if", "name": ALL}, "value"),
    State({"type": "what-if", "name": ALL}, "id"),
    State("price-reset", "n_clicks"),
    State("price-asked", "data"),
)
Ids = list[dict[str, str]]


@callback(
    Output("price-kpis", "children"),
    Output("price-imputed", "children"),
    Output("price-facts-rows", "children"),
    Output("price-link", "value"),
    Output("price-json", "href"),
    Output("price-shown-answer", "data"),
    *tiles.outputs("price-answer"),
    *_ASKED,
    State("price-shown-answer", "data"),
)
def update_answer(
    _version: str | None, values: list[float], ids: Ids, resets: int, asked: Asked, shown: str
) -> tuple[Any, ...]:
    """The price, its facts and its addresses; nothing while they are those shown."""
    view = _look(values, ids, resets, asked)
    if isinstance(view, Missing):
        return (*[no_update] * 5, "", *view.why)
    now, state = view.now, price_view.ready(view.now)
    return (
        price_view.kpis(view.original, now),
        price_view.imputed_line(now),
        price_view.fact_table(now),
        price_view.address(now.id, view.changes),
        price_view.api_address(now.id, view.changes),
        _unless(shown, view.digest()),
        *TileState("ready", " ".join(asked["ignored"]), state.as_of),
    )


@callback(
    Output("price-what-if-line", "children"),
    Output("price-what-if-changes", "children"),
    Output("price-shown-what-if", "data"),
    *tiles.outputs("price-what-if"),
    *_ASKED,
    State("price-shown-what-if", "data"),
)
def update_what_if(
    _version: str | None, values: list[float], ids: Ids, resets: int, asked: Asked, shown: str
) -> tuple[Any, ...]:
    """What the changes do to the price."""
    view = _look(values, ids, resets, asked)
    if isinstance(view, Missing):
        return no_update, no_update, "", *view.others
    return (
        price_view.what_if_line(view.original, view.now, view.changes),
        price_view.changes_line(view.original, view.changes),
        _unless(shown, view.digest()),
        *price_view.ready(view.now),
    )


@callback(
    charts.figure_of("price-waterfall"),
    Output("price-contributions-rows", "children"),
    Output("price-comparables-rows", "children"),
    Output("price-shown-reasons", "data"),
    *tiles.outputs("price-contributions"),
    *tiles.outputs("price-comparables"),
    *_ASKED,
    State("price-shown-reasons", "data"),
    Input("scheme", "data"),
)
def update_reasons(
    _version: str | None, values: list[float], ids: Ids, resets: int, asked: Asked, shown: str, scheme: str | None
) -> tuple[Any, ...]:
    """What the price is made of, and the sales that it leans on."""
    view = _look(values, ids, resets, asked)
    if isinstance(view, Missing):
        return (*[no_update] * 3, "", *view.others, *view.others)
    if not scheme:
        raise PreventUpdate
    now, state = view.now, price_view.ready(view.now)
    digest = _unless(shown, f"{scheme} {view.digest()}")
    parts = [(part.label, part.dollars) for part in now.contributions]
    return (
        model_charts.waterfall(now.baseline, parts, now.price, scheme, f"price-{now.id}"),
        price_view.contribution_table(now),
        price_view.comparable_table(now.comparables),
        digest,
        *state,
        *state,
    )


@dataclass(frozen=True)
class Missing:
    """There is no answer: the state of the tile that says why, and that of the others."""

    why: TileState
    others: TileState


def _look(values: list[float], ids: Ids, resets: int, asked: Asked) -> View | Missing:
    """The answer for the sliders as they stand."""
    chosen = {slider["name"]: value for slider, value in zip(ids, values, strict=True)}
    try:
        view = price_view.look(pricing.shared().pricer, asked, chosen, resets > 0)
    except LakeError as error:
        return _missing(_trouble(error), _elsewhere(error))
    if view is None:
        first = TileState("empty", price_view.nothing_asked(_examples()), None)
        return _missing(first, "No house is asked for yet.")
    return view


def _unless(shown: str, digest: str) -> str:
    """The digest of what is to be shown; stops the callback when it is shown already."""
    if digest == shown:
        raise PreventUpdate
    return digest


def _missing(first: TileState, others: str) -> Missing:
    state = "empty" if first.state == "empty" else "error"
    return Missing(first, TileState(state, formats.with_code(others), None))


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
