"""A zone's own page: its throughput by hour, its defects by concern, its days."""

from typing import Any
from urllib.parse import unquote

from dash import Input, Output, State, callback, dcc, html, no_update
from dash.development.base_component import Component

from dashboard.pages.production import board_charts, board_view
from dashboard.pages.production.board import view
from dashboard.ui import charts, tiles
from dashboard.ui.tiles import TileState
from jobs.production.plant import LONGEST, plant

NAME = "Zone"
PATH = f"{board_view.ZONE_PATH}/<zone_id>"
TILES = ("zone-hours", "zone-concerns", "zone-days")


def layout(zone_id: str = "", **_query: str) -> Component:
    """The page of one zone before its numbers."""
    if instead := board_view.unusable():
        return instead
    zone = unquote(zone_id)[:LONGEST]
    points = ", ".join(plant().zones.get(zone, ())) or "There is no such zone."
    hours, concerns = charts.graph("zone-hours-figure"), charts.graph("zone-concerns-figure")
    limits = "Units without a defect found here, in percent. A cross is outside the 3-sigma control limits."
    return html.Div(
        [
            html.Div([html.H1(f"Zone {zone}"), html.P(f"Collection points: {points}")], className="intro"),
            html.Div(
                dcc.Link("The whole line", href="/production", className="button"), className="link-row page-links"
            ),
            dcc.Store(id="zone-asked", data=zone),
            html.Div(
                [
                    html.Div(tiles.tile("zone-hours", "Throughput by hour", limits, hours), className="all"),
                    tiles.tile("zone-concerns", "Defects by concern today", "Found in this zone.", concerns),
                    tiles.tile("zone-days", "Days", "Production days, newest first.", html.Div(id="zone-days-rows")),
                ],
                className="grid",
            ),
        ]
    )


@callback(
    charts.figure_of("zone-hours-figure"),
    charts.figure_of("zone-concerns-figure"),
    Output("zone-days-rows", "children"),
    *[output for tile in TILES for output in tiles.outputs(tile)],
    Input("live", "data"),
    Input("scheme", "data"),
    State("zone-asked", "data"),
)
def update(_version: str | None, scheme: str | None, zone: str) -> tuple[Any, ...]:
    """Figures and days of the zone."""
    now = view()
    rows = board_view.hours(now, zone)
    state = board_view.state(now)
    if state.state == "ready" and rows.empty:
        state = TileState("empty", [f"No unit has passed {zone} yet."], None)
    states = [part for _ in TILES for part in state]
    if rows.empty or not scheme:
        return no_update, no_update, no_update, *states
    by_hour = board_charts.throughput(board_view.p_chart(rows), scheme, f"zone-{zone}")
    concerns = board_charts.pareto(board_view.pareto(now, zone), scheme)
    return by_hour, concerns, board_view.day_table(now, zone), *states
