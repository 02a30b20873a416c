"""The map of houses: where they are and what they cost, offline; a click leads to a house's price."""

from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard import charts, houses_map, houses_pricing, text, tiles
from dashboard.tiles import TileState
from lakehouse.errors import LakeError, UnavailableError

NAME = "Map"
PATH = "/map"
ORDER = 13
ICON = "map"
DAY = 26 * 3600  # retrained nightly


def layout(show: str = houses_map.ALL, **query: str) -> Component:
    """The page before its first data; `?show=for-sale&zip=98103` filters."""
    zipcode = query.get("zip", "")
    zipcode = zipcode if isinstance(zipcode, str) and zipcode.isdigit() else ""
    show = show if show in houses_map.SHOWS else houses_map.ALL
    intro = [html.H1("Map of houses"), html.P("Where the houses are and what they cost. A click leads to the price.")]
    return html.Div([html.Div(intro, className="intro"), _map_tile(show, zipcode)])


def _map_tile(show: str, zipcode: str) -> Component:
    filters = [
        dmc.SegmentedControl(
            id="map-show",
            value=show,
            data=[{"value": value, "label": label} for value, label in houses_map.SHOWS.items()],
            size="xs",
            **tiles.attributes(aria_label="Houses shown"),
        ),
        dmc.Select(
            id="map-zip",
            data=houses_map.options([zipcode] if zipcode else []),
            value=zipcode or None,
            placeholder="All zip codes",
            clearable=True,
            searchable=True,
            size="xs",
            **tiles.attributes(aria_label="Zip code"),
        ),
    ]
    return tiles.tile(
        "map-houses",
        "Houses",
        "Colour is the price: what was paid for a house sold, what the model says for any other. "
        "Those for sale have a ring, the smallest are not sold yet. Scroll to zoom, drag to move, click for the price.",
        html.Div(filters, className="filters"),
        html.P(id="map-caption", className="caption", role="status"),
        html.Div(charts.graph("map-points", scrollZoom=True), className="map"),
        html.Details([html.Summary("Show as table"), html.Div(id="map-rows")]),
        dcc.Store(id="map-shown", data=""),
        dcc.Store(id="map-address", data=""),
        stale_after=DAY,
    )


@callback(
    charts.figure_of("map-points"),
    Output("map-caption", "children"),
    Output("map-rows", "children"),
    Output("map-zip", "data"),
    Output("map-address", "data"),
    Output("map-shown", "data"),
    *tiles.outputs("map-houses"),
    Input("live", "data"),
    Input("scheme", "data"),
    Input("map-show", "value"),
    Input("map-zip", "value"),
    State("map-shown", "data"),
)
def update(_version: str | None, scheme: str | None, show: str, zipcode: str | None, before: str) -> tuple[Any, ...]:
    """The points, when version, filter or theme has changed; nothing on other ticks."""
    try:
        version = houses_pricing.shared().pricer.model().version
        key = f"{version} {scheme} {show} {zipcode}"
        if not scheme or key == before:
            raise PreventUpdate
        found = houses_pricing.shared().everywhere()
    except LakeError as error:
        word = "empty" if isinstance(error, UnavailableError) else "error"
        return (*[no_update] * 5, "", *TileState(word, text.with_code(str(error)), None))
    shown = houses_map.houses(found, show, zipcode or "")
    figure = houses_map.figure(shown, scheme, f"map-{zipcode or ''}")
    chosen = {name: value for name, value in (("show", show), ("zip", zipcode)) if value and value != houses_map.ALL}
    address = f"{PATH}?{urlencode(chosen)}" if chosen else PATH
    notice = "" if len(shown.ids) else "No house fits this filter."
    state = TileState("ready", notice, found.model.manifest["trained_at"])
    codes = houses_map.options(houses_map.zips(found))
    return figure, houses_map.caption(shown), houses_map.table(shown), codes, address, key, *state


clientside_callback(
    ClientsideFunction("lake", "openHouse"),
    Output("_pages_location", "href"),
    Input("map-points", "clickData"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("lake", "viewAddress"), Output("map-caption", "title"), Input("map-address", "data")
)
