"""House sales: average price per decade built, live, and the sales themselves."""

import re
from typing import Any

from dash import Input, Output, State, callback, clientside_callback, html, no_update
from dash.dependencies import ClientsideFunction
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.pages.houses import bands, live_tiles, live_view, parity, pricing, source
from dashboard.ui import charts, event_grid, formats, tiles
from jobs.houses import schema

NAME = "Live"
PATH = "/houses"
ORDER = 1
SHOWS = {  # a table -> the tile that shows it
    schema.AVERAGES.name: "houses-windows",
    schema.AVERAGES_BATCH.name: "houses-windows",
    schema.HISTORY.name: "houses-feed",
    schema.PARITY.name: "houses-parity",
}


def layout(decade: str = "", shape: str = live_tiles.LINES, **_query: str) -> Component:
    """The page before its first data; `?decade=1990,2000&shape=multiples` picks decades and how they are drawn."""
    asked = [part for part in decade.split(",") if part]
    chosen = [part for part in asked if re.fullmatch(r"[12]\d\d0", part)]
    unknown = [f"decade={part[:20]}" for part in asked if part not in chosen]
    unknown += [] if shape in live_tiles.SHAPES else [f"shape={shape[:20]}"]
    intro = [html.H1("House sales"), html.P("Average price per decade built, window by window, as the sales come in.")]
    return html.Div(
        [
            html.Div(intro, className="intro"),
            html.P(formats.not_known(unknown), id="houses-notice", className="notice", role="status"),
            html.Div(tiles.loading_kpis(6), id="houses-kpis", className="kpis"),
            html.Div(
                [
                    live_tiles.last_window(),
                    live_tiles.windows(chosen, shape if shape in live_tiles.SHAPES else live_tiles.LINES),
                    html.Div(live_tiles.live_feed(), className="all"),
                    html.Div(live_tiles.parity(), className="all"),
                ],
                className="grid",
            ),
        ]
    )


Shown = dict[str, str] | None  # the header's range, None until the browser has sent it


def _view() -> DomainView:
    return tiles.view_of(pricing.DOMAIN)


@callback(Output("houses-kpis", "children"), Input("live", "data"))
def update_kpis(_version: str | None) -> list[Component]:
    """The numbers on top."""
    return live_view.kpis(_view())


@callback(
    charts.figure_of("houses-last-window-bars"),
    Output("houses-last-window-caption", "children"),
    Output("houses-last-window-note", "children"),
    Output("houses-last-window-rows", "children"),
    *tiles.outputs("houses-last-window"),
    Input("live", "data"),
    Input("scheme", "data"),
    Input("view", "data"),
)
def update_last_window(_version: str | None, scheme: str | None, shown: Shown) -> tuple[Any, ...]:
    """Bars, caption and table of the newest windows."""
    view = _view()
    state = live_view.windows_state(view)
    if view.served.empty or not scheme or not shown:
        return no_update, no_update, no_update, no_update, *state
    newest = live_view.last_windows(live_view.within(view.served, shown["range"]))
    last = bands.with_bands(newest, view.reading(source.SPREAD).frame)
    figure = charts.bars(live_view.bar_rows(last), "sales", scheme, "houses-last-window")
    return figure, live_view.caption(last), live_view.quiet_note(view, last), live_view.last_window_table(last), *state


@callback(
    charts.figure_of("houses-windows-lines"),
    Output("houses-windows-layers", "children"),
    Output("houses-windows-data", "data"),
    Output("houses-decades", "data"),
    *tiles.outputs("houses-windows"),
    Input("live", "data"),
    Input("scheme", "data"),
    Input("houses-decades", "value"),
    Input("houses-shape", "value"),
    Input("view", "data"),
    State("houses-decades", "data"),
)
def update_windows(
    _version: str | None,
    scheme: str | None,
    chosen: list[str] | None,
    shape: str,
    shown: Shown,
    options: list[Any] | None,
) -> tuple[Any, ...]:
    """Lines or small charts, table rows and the picker's options."""
    view = _view()
    state = live_view.windows_state(view)
    if view.served.empty or not scheme or not shown:
        return no_update, no_update, no_update, no_update, *state
    served = live_view.within(view.served, shown["range"])
    everything = live_view.decades(view.served)
    rows = served[served["decade"].isin(live_view.picked(served, chosen))]
    drawn = charts.multiples if shape == live_tiles.MULTIPLES else charts.lines
    figure = drawn(live_view.line_rows(rows), everything, scheme, f"houses-windows-{shape}-{shown['range']}")
    new = [{"value": str(decade), "label": f"{decade}s"} for decade in sorted({*everything, *map(int, chosen or [])})]
    return figure, live_view.served_by(rows), live_view.window_rows(rows), no_update if new == options else new, *state


@callback(
    Output("houses-feed-grid", "rowTransaction"),
    Output("houses-feed-grid-news", "data"),
    Output("houses-feed-keys", "data"),
    Output("houses-feed-version", "data"),
    Output("houses-feed-model", "children"),
    Output("houses-feed-grid-source", "children"),
    Output("houses-feed-grid-shown", "data"),
    *tiles.outputs("houses-feed"),
    Input("live", "data"),
    Input("houses-feed-grid-newest", "data"),
    State("houses-feed-keys", "data"),
    State("houses-feed-version", "data"),
)
def update_feed(_version: str | None, newest: Any, keys: list[str], priced_by: str) -> tuple[Any, ...]:
    """What is new in the feed and what has left it."""
    view = _view()
    sales, error = event_grid.newest_events(pricing.DOMAIN, view.reading(source.SALES).frame)
    version, predicted = pricing.shared().predicted(sales["id"])
    about = version, live_view.feed_model(version), event_grid.read_from(error), newest
    rows = live_view.feed_rows(sales, predicted)
    change = event_grid.transaction(rows, keys, renew=version != priced_by)
    state = live_view.feed_state(view, sales, error)
    if change is None:
        return no_update, no_update, no_update, *about, *state
    return change, event_grid.news(change), list(rows["key"]), *about, *state


@callback(Output("houses-parity-body", "children"), *tiles.outputs("houses-parity"), Input("live", "data"))
def update_parity(_version: str | None) -> tuple[Any, ...]:
    """The comparison of the last recomputation."""
    view = _view()
    state = tiles.tile_state(view.parity, view.parity.committed_at, live_view.NO_RECOMPUTE)
    return parity.body(view), *state


event_grid.measure_delay("houses-feed-grid")
clientside_callback(
    ClientsideFunction("houses", "windowRows"),
    Output("houses-windows-table", "title"),
    Input("houses-windows-data", "data"),
)
clientside_callback(
    ClientsideFunction("houses", "decades"),
    Output("houses-windows-layers", "title"),
    Input("houses-decades", "value"),
    Input("houses-shape", "value"),
)
