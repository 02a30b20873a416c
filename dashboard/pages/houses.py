"""House sales: average price per decade built, live, and the sales themselves."""

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, callback, clientside_callback, dcc, html, no_update
from dash.dependencies import ClientsideFunction
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard import charts, feed, houses, houses_pricing, snapshot, text, tiles
from dashboard.snapshot import DomainView

NAME = "Houses"
PATH = "/houses"
ORDER = 10
ICON = "house"
SOURCE = houses.SOURCE
_FEED = [
    feed.column("time", "Time (UTC)", 92),
    feed.column("id", "House", 102),
    feed.column("price", "Price", 98, "money"),
    feed.column("predicted", "Predicted", 98, "money"),
    feed.column("off", "Differs", 72, "change"),
    feed.column("built", "Built", 104),
    feed.column("beds", "Beds", 52, "number"),
    feed.column("baths", "Baths", 56, "number"),
    feed.column("sqft", "Sq ft", 60, "number"),
    feed.column("zip", "Zip", 60),
]


def layout(decade: str = "", **_query: str) -> Component:
    """The page before its first data; `?decade=1990,2000` picks decades."""
    chosen = [part for part in decade.split(",") if part.isdigit()]
    intro = [html.H1("House sales"), html.P("Average price per decade built, window by window, as the sales come in.")]
    return html.Div(
        [
            html.Div(intro, className="intro"),
            html.Div(tiles.loading_kpis(6), id="houses-kpis", className="kpis"),
            html.Div(
                [
                    _last_window_tile(),
                    _windows_tile(chosen),
                    html.Div(_feed_tile(), className="all"),
                    html.Div(_parity_tile(), className="all"),
                ],
                className="grid",
            ),
        ]
    )


def _last_window_tile() -> Component:
    return tiles.tile(
        "houses-last-window",
        "Last window per decade",
        "Average price of the newest window of each decade built; the number on a bar is its sales.",
        html.P(id="houses-last-window-caption", className="caption"),
        html.Div(id="houses-last-window-note"),
        charts.graph("houses-last-window-bars"),
        html.Details([html.Summary("Show as table"), html.Div(id="houses-last-window-rows")]),
    )


def _windows_tile(chosen: list[str]) -> Component:
    heads = ("Window (UTC)", "Decade", "Average price", "Sales", "State", "Served by")
    table = html.Table(
        [
            html.Caption("Windows drawn, newest first"),
            html.Thead(html.Tr([html.Th(head, scope="col") for head in heads])),
            html.Tbody(id="houses-windows-rows"),
        ],
        id="houses-windows-table",
    )
    return tiles.tile(
        "houses-windows",
        "Past windows",
        "The last hour of windows. Hollow points are provisional; diamonds are served by the batch layer.",
        dmc.MultiSelect(
            id="houses-decades",
            data=[{"value": decade, "label": f"{decade}s"} for decade in chosen],
            value=chosen,
            placeholder=f"The {houses.BUSIEST} decades with most sales",
            clearable=True,
            searchable=True,
            size="xs",
            **tiles.attributes(aria_label="Decades drawn"),
        ),
        html.P(id="houses-windows-layers", className="caption"),
        charts.graph("houses-windows-lines"),
        dcc.Store(id="houses-windows-data"),
        html.Details([html.Summary("Show as table"), html.Div(table, className="table-scroll", tabIndex=0)]),
    )


def _feed_tile() -> Component:
    return tiles.tile(
        "houses-feed",
        "Live sales",
        f"The newest {snapshot.FEED_ROWS} sales in history, newest first, and the price that the live model gives.",
        html.P(id="houses-feed-model", className="caption"),
        feed.grid("houses-feed-grid", _FEED, 420),
        dcc.Store(id="houses-feed-keys", data=[]),
        dcc.Store(id="houses-feed-version", data=""),
    )


def _parity_tile() -> Component:
    return tiles.tile(
        "houses-parity",
        "Speed and batch layer compared",
        "The last recomputation over distinct sales against what the stream had shown: average price · sales.",
        html.Div(id="houses-parity-body"),
        stale_after=26 * 3600,
    )


def _view() -> DomainView:
    view = snapshot.view(SOURCE.domain.name)
    if view is None:
        raise PreventUpdate
    return view


@callback(Output("houses-kpis", "children"), Input("live", "data"))
def update_kpis(_version: str | None) -> list[Component]:
    """The numbers on top."""
    return houses.kpis(_view())


@callback(
    charts.figure_of("houses-last-window-bars"),
    Output("houses-last-window-caption", "children"),
    Output("houses-last-window-note", "children"),
    Output("houses-last-window-rows", "children"),
    *tiles.outputs("houses-last-window"),
    Input("live", "data"),
    Input("scheme", "data"),
)
def update_last_window(_version: str | None, scheme: str | None) -> tuple[Any, ...]:
    """Bars, caption and table of the newest windows."""
    view = _view()
    state = houses.windows_state(view)
    if view.served.empty or not scheme:
        return no_update, no_update, no_update, no_update, *state
    last = houses.last_windows(view.served)
    figure = charts.bars(houses.bar_rows(last), "sales", scheme, "houses-last-window")
    return figure, houses.caption(last), houses.quiet_note(view, last), houses.last_window_table(last), *state


@callback(
    charts.figure_of("houses-windows-lines"),
    Output("houses-windows-layers", "children"),
    Output("houses-windows-data", "data"),
    Output("houses-decades", "data"),
    *tiles.outputs("houses-windows"),
    Input("live", "data"),
    Input("scheme", "data"),
    Input("houses-decades", "value"),
    State("houses-decades", "data"),
)
def update_windows(
    _version: str | None, scheme: str | None, chosen: list[str] | None, options: list[Any] | None
) -> tuple[Any, ...]:
    """Lines, table rows and the picker's options."""
    view = _view()
    state = houses.windows_state(view)
    if view.served.empty or not scheme:
        return no_update, no_update, no_update, no_update, *state
    everything = houses.decades(view.served)
    shown = view.served[view.served["decade"].isin(houses.picked(view.served, chosen))]
    figure = charts.lines(houses.line_rows(shown), everything, scheme, "houses-windows")
    new = [{"value": str(decade), "label": f"{decade}s"} for decade in sorted({*everything, *map(int, chosen or [])})]
    rows = houses.window_rows(shown)
    return figure, houses.served_by(shown), rows, no_update if new == options else new, *state


@callback(
    Output("houses-feed-grid", "rowTransaction"),
    Output("houses-feed-keys", "data"),
    Output("houses-feed-version", "data"),
    Output("houses-feed-model", "children"),
    *tiles.outputs("houses-feed"),
    Input("live", "data"),
    State("houses-feed-keys", "data"),
    State("houses-feed-version", "data"),
)
def update_feed(_version: str | None, keys: list[str], priced_by: str) -> tuple[Any, ...]:
    """What is new in the feed and what has left it."""
    view = _view()
    reading = view.history
    state = tiles.tile_state(reading, view.as_of("history", reading), houses.empty_notice(view))
    if state.state == "ready" and reading.frame.empty:  # the initial history is there, no sale has come yet
        state = tiles.TileState("empty", text.with_code(houses.empty_notice(view)), None)
    version, predicted = houses_pricing.shared().predicted(reading.frame["id"])
    rows = houses.feed_rows(view, predicted)
    change = feed.transaction(rows, keys, renew=version != priced_by)
    if change is None:
        return no_update, no_update, version, houses.feed_model(version), *state
    return change, list(rows["key"]), version, houses.feed_model(version), *state


@callback(Output("houses-parity-body", "children"), *tiles.outputs("houses-parity"), Input("live", "data"))
def update_parity(_version: str | None) -> tuple[Any, ...]:
    """The comparison of the last recomputation."""
    view = _view()
    state = tiles.tile_state(view.parity, view.parity.committed_at, houses.NO_RECOMPUTE)
    return houses.parity_body(view), *state


clientside_callback(
    ClientsideFunction("lake", "windowRows"),
    Output("houses-windows-table", "title"),
    Input("houses-windows-data", "data"),
)
