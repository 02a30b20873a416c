"""The map of houses: where they are and what they cost, offline; an area drawn on it narrows the page."""

from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.pages.houses import map_area, map_view, pricing
from dashboard.pages.houses.pricing import ScoredCatalogue
from dashboard.ui import charts, formats, tiles
from dashboard.ui.tiles import TileState
from lakehouse.errors import LakeError, UnavailableError

NAME = "Map"
PATH = "/houses/map"
OLD_PATHS = ("/map",)
ORDER = 3
DAY = 26 * 3600  # retrained nightly
DRAGS = {"pan": "Move", "select": "Box", "lasso": "Outline"}
NO_HOUSE = "No house fits this filter. Clear it, or choose another area."
NO_PLACE = "No house is on the map: latitude and longitude of none are known."


def layout(show: str = map_view.ALL, **query: str) -> Component:
    """The page before its first data; `?show=for-sale&zip=98103&area=-122.4,47.6,-122.3,47.7` filters."""
    zipcode, area = query.get("zip", ""), query.get("area", "")
    known = {
        "show": show in map_view.SHOWS,
        "zip": not zipcode or (isinstance(zipcode, str) and zipcode.isdigit() and len(zipcode) == 5),
        "area": map_area.is_area(area),
    }
    asked = {"show": show, "zip": zipcode, "area": area}
    unknown = [f"{name}={asked[name]}" for name, fits in known.items() if not fits]
    chosen = {name: value if known[name] else "" for name, value in asked.items()}
    intro = [html.H1("Map of houses"), html.P("Where the houses are and what they cost. A click leads to the price.")]
    notice = html.P(formats.not_known(unknown), id="map-notice", className="notice", role="status")
    tile = _map_tile(chosen["show"] or map_view.ALL, chosen["zip"], chosen["area"])
    return html.Div([html.Div(intro, className="intro"), notice, tile])


def _map_tile(show: str, zipcode: str, area: str) -> Component:
    return tiles.tile(
        "map-houses",
        "Houses",
        "Colour is the price: what was paid for a house sold, what the model says for any other. "
        "Those for sale have a ring, the smallest are not sold yet. Draw a box or an outline to narrow the page to it.",
        html.Div(_filters(show, zipcode), className="filters"),
        html.P(id="map-caption", className="caption", role="status"),
        html.Div(id="map-kpis", className="kpis inner"),
        html.Div(
            [
                html.Div(charts.graph("map-points", scrollZoom=True), className="map"),
                html.Div(id="map-rows", className="map-list"),
            ],
            className="map-split",
        ),
        dcc.Store(id="map-shown", data=""),
        dcc.Store(id="map-listed", data=""),
        dcc.Store(id="map-address", data=""),
        dcc.Store(id="map-area", data=area),
        stale_after=DAY,
    )


def _filters(show: str, zipcode: str) -> list[Component]:
    return [
        dmc.SegmentedControl(
            id="map-show",
            value=show,
            data=[{"value": value, "label": label} for value, label in map_view.SHOWS.items()],
            size="xs",
            **tiles.attributes(aria_label="Houses shown"),
        ),
        dmc.Select(
            id="map-zip",
            data=map_view.options([zipcode] if zipcode else []),
            value=zipcode or None,
            placeholder="All zip codes",
            clearable=True,
            searchable=True,
            size="xs",
            **tiles.attributes(aria_label="Zip code"),
        ),
        dmc.SegmentedControl(
            id="map-drag",
            value="pan",
            data=[{"value": value, "label": label} for value, label in DRAGS.items()],
            size="xs",
            **tiles.attributes(aria_label="What dragging on the map does"),
        ),
        html.Button("Only what is visible", id="map-visible", type="button", className="button small"),
        html.Button("Clear filters", id="map-clear", type="button", className="button small", hidden=True),
    ]


def _found() -> tuple[str, ScoredCatalogue]:
    return pricing.shared().pricer.model().version, pricing.shared().catalogue()


@callback(
    charts.figure_of("map-points"),
    Output("map-zip", "data"),
    Output("map-shown", "data"),
    *tiles.outputs("map-houses"),
    Input("live", "data"),
    Input("scheme", "data"),
    Input("map-show", "value"),
    Input("map-zip", "value"),
    State("map-shown", "data"),
)
def update(_version: str | None, scheme: str | None, show: str, zipcode: str | None, before: str) -> tuple[Any, ...]:
    """The points, when version, filter or theme has changed; nothing on other ticks and for another area."""
    try:
        version, found = _found()
    except LakeError as error:
        word = "empty" if isinstance(error, UnavailableError) else "error"
        return no_update, no_update, "", *TileState(word, formats.with_code(str(error)), None)
    key = f"{version} {scheme} {show} {zipcode}"
    if not scheme or key == before:
        raise PreventUpdate
    figure = map_view.figure(map_view.houses(found, show, zipcode or ""), scheme, f"map-{zipcode or ''}")
    state = TileState("ready", [], found.model.manifest.trained_at)
    return figure, map_view.options(map_view.zips(found)), key, *state


@callback(
    Output("map-caption", "children"),
    Output("map-kpis", "children"),
    Output("map-rows", "children"),
    Output("map-address", "data"),
    Output("map-listed", "data"),
    Input("live", "data"),
    Input("map-show", "value"),
    Input("map-zip", "value"),
    Input("map-area", "data"),
    State("map-listed", "data"),
)
def update_list(_version: str | None, show: str, zipcode: str | None, area: str, before: str) -> tuple[Any, ...]:
    """Numbers and table of the houses that every filter leaves, and the address of this view."""
    try:
        version, found = _found()
    except LakeError:
        raise PreventUpdate from None
    key = f"{version} {show} {zipcode} {area}"
    if key == before:
        raise PreventUpdate
    everything = map_view.houses(found, show, zipcode or "")
    left = map_area.narrowed(everything, area)
    chosen = {"show": "" if show == map_view.ALL else show, "zip": zipcode or "", "area": area}
    query = urlencode({name: value for name, value in chosen.items() if value}, safe=",")
    caption = map_view.caption(left) if len(left.ids) else NO_HOUSE if map_view.has_places(found) else NO_PLACE
    numbers = map_area.kpis(left, len(found.model.known.houses))
    return caption, numbers, map_view.table(left), f"{PATH}?{query}" if query else PATH, key


clientside_callback(
    ClientsideFunction("houses", "openHouse"),
    Output("_pages_location", "href"),
    Input("map-points", "clickData"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("lake", "viewAddress"), Output("map-caption", "title"), Input("map-address", "data")
)
clientside_callback(
    ClientsideFunction("houses", "mapFilter"),
    Output("map-area", "data"),
    Output("map-show", "value"),
    Output("map-zip", "value"),
    Input("map-points", "selectedData"),
    Input("map-visible", "n_clicks"),
    Input("map-clear", "n_clicks"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("houses", "mapArea"),
    Output("map-clear", "hidden"),
    Input("map-area", "data"),
    Input("map-show", "value"),
    Input("map-zip", "value"),
)
clientside_callback(
    ClientsideFunction("houses", "mapDrag"),
    Output("map-drag", "title"),
    Input("map-drag", "value"),
    prevent_initial_call=True,
)
