"""Events and their quantity per minute, as they come in."""

from typing import Any

import pandas as pd
from dash import Input, Output, callback, html, no_update
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.ui import charts, formats, layers_tile, tiles, time_range
from jobs.example.schema import DOMAIN, HISTORY, PARITY, TOTALS, TOTALS_BATCH

NAME = "Live"
PATH = "/example"
ORDER = 1
SHOWS = {  # a table -> the tile that shows it
    TOTALS.name: "example-windows",
    TOTALS_BATCH.name: "example-windows",
    PARITY.name: "example-parity",
    HISTORY.name: "example-kpis",
}
NO_EVENTS = "No events yet. Send some: `./spark-submit.sh jobs/example/produce.py`"
NO_RECOMPUTE = "Nothing recomputed yet. Run: `./spark-submit.sh jobs/example/recompute.py`"
NEWEST = 20  # windows in the table


def layout(**query: str) -> Component:
    """The page before its first data."""
    unknown = [f"{name}={value[:20]}" for name, value in query.items()]
    intro = [html.H1("Example"), html.P("Events and their quantity per minute, as they come in.")]
    return html.Div(
        [
            html.Div(intro, className="intro"),
            html.P(formats.not_known(unknown), id="example-notice", className="notice", role="status"),
            html.Div(tiles.loading_kpis(4), id="example-kpis", className="kpis"),
            html.Div([html.Div(tile, className="all") for tile in _tiles()], className="grid"),
        ]
    )


def _tiles() -> list[Component]:
    figure = charts.graph("example-windows-lines")
    table = html.Div(id="example-windows-rows")
    about = "Of all ids; the newest below."
    windows = tiles.tile("example-windows", "Quantity per minute", about, figure, table)
    meaning = "The last recomputation over the whole history against what the stream has written."
    return [windows, layers_tile.tile("example-parity", "Stream and history", meaning)]


def kpis(view: DomainView) -> list[Component]:
    """The numbers on top."""
    rate = f"{formats.decimal(view.topic.rate)}/s"
    return [
        tiles.kpi("example-kpi-sent", "On the topic", formats.count(view.topic.events), "events"),
        tiles.kpi("example-kpi-rate", "Arriving", rate, tiles.rate_note(view.topic)),
        tiles.kpi("example-kpi-history", "In the history", formats.count(view.history.total), "events"),
        tiles.kpi("example-kpi-dead", "Dead letters", formats.count(view.dead_letters.total), "records"),
    ]


def within(served: pd.DataFrame, chosen: str | None) -> pd.DataFrame:
    """The served windows of the range, counted back from the newest one."""
    shown: pd.DataFrame = served[served["window_start"] >= served["window_start"].max() - time_range.span(chosen)]
    return shown


def lines(served: pd.DataFrame, scheme: str) -> charts.Figure:
    """Quantity per window, of all ids together."""
    sums = served.groupby("window_start")["sum_quantity"].sum()
    line = {"type": "scatter", "mode": "lines+markers", "x": list(sums.index), "y": sums.tolist(), "name": "quantity"}
    look = charts.layout(scheme)
    axes = {"xaxis": look["xaxis"] | charts.TIMES, "yaxis": look["yaxis"] | {"tickprefix": ""}}
    return {"data": [line], "layout": look | axes | {"uirevision": "example", "showlegend": False}}


def table(served: pd.DataFrame) -> Component:
    """The newest windows as a table."""
    newest = served.sort_values(["window_start", "id"], ascending=[False, True]).head(NEWEST)
    rows = [
        html.Tr(
            [
                tiles.cell("window_start", formats.clock(row.window_start), row.window_start.isoformat(), number=False),
                tiles.cell("id", row.id, number=False),
                tiles.cell("events", formats.count(row.events), int(row.events)),
                tiles.cell("sum_quantity", formats.count(row.sum_quantity), int(row.sum_quantity)),
                tiles.cell("state", "final" if row.is_final else "provisional", number=False),
            ]
        )
        for row in tiles.records(newest)
    ]
    heads = {"Window (UTC)": "text", "Id": "text", "Events": "number", "Quantity": "number", "State": "text"}
    return tiles.table("example-windows-table", heads, rows, "Newest windows")


@callback(Output("example-kpis", "children"), Input("live", "data"))
def update_kpis(_version: str | None) -> list[Component]:
    """The numbers on top."""
    return kpis(tiles.view_of(DOMAIN.name))


@callback(
    charts.figure_of("example-windows-lines"),
    Output("example-windows-rows", "children"),
    *tiles.outputs("example-windows"),
    Input("live", "data"),
    Input("scheme", "data"),
    Input("view", "data"),
)
def update_windows(_version: str | None, scheme: str | None, shown: dict[str, str] | None) -> tuple[Any, ...]:
    """The figure and the newest windows."""
    view = tiles.view_of(DOMAIN.name)
    state = tiles.tile_state(view.speed, view.as_of(TOTALS), NO_EVENTS)
    if view.served.empty or not scheme or not shown:
        return no_update, no_update, *state
    served = within(view.served, shown["range"])
    return lines(served, scheme), table(served), *state


@callback(
    Output("example-parity-body", "children"),
    *tiles.outputs("example-parity"),
    Input("live", "data"),
)
def update_parity(_version: str | None) -> tuple[Any, ...]:
    """The comparison of the last recomputation."""
    view = tiles.view_of(DOMAIN.name)
    state = tiles.tile_state(view.parity, view.parity.committed_at, NO_RECOMPUTE)
    return layers_tile.body("example-parity", view.layers) if view.layers else [], *state
