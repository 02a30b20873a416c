"""The board of the production line: units, defects and throughput today, by zone, by concern and by hour."""

from typing import Any

from dash import Input, Output, callback, html, no_update
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.pages.production import board_charts, board_view
from dashboard.ui import charts, formats, layers_tile, tiles
from jobs.production import schema
from jobs.production.plant import LINE, plant

NAME = "Board"
PATH = "/production"
ORDER = 1
SHOWS = {  # a table -> the tile that shows it
    schema.TOTALS.name: "production-zones-today",
    schema.TOTALS_BATCH.name: "production-zones-today",
    schema.HOURS.name: "production-windows",
    schema.CONCERNS.name: "production-concerns",
    schema.PARITY.name: "production-parity",
}
FIGURES = ("units", "defects", "concerns", "windows")


def layout(**query: str) -> Component:
    """The page before its first data."""
    if instead := board_view.unusable():
        return instead
    about = f"Units and defects as they come in; a production day begins at {plant().begins}."
    intro = [html.H1("Production line"), html.P(about)]
    unknown = [f"{name}={value[:20]}" for name, value in query.items()]
    return html.Div(
        [
            html.Div(intro, className="intro"),
            html.P(formats.not_known(unknown), id="production-notice", className="notice", role="status"),
            html.Div(tiles.loading_kpis(6), id="production-kpis", className="kpis"),
            html.Div([*_figures(), *_tables()], className="grid"),
        ]
    )


def _figures() -> list[Component]:
    return [
        tiles.tile(
            f"production-{name}", title, meaning, charts.graph(f"production-{name}-figure"), html.Div(id=f"{name}-note")
        )
        for name, title, meaning in (
            (
                "units",
                "Units per zone today",
                "Each unit once per zone; a unit with a defect found there is defective.",
            ),
            ("defects", "Defects per zone today", "Where they were found, and which zone caused them."),
            (
                "concerns",
                "Defects by concern today",
                "The commonest first; the line is the share that they make together.",
            ),
            (
                "windows",
                "Throughput by hour",
                "Units without a defect, in percent, of the whole line, over 31 days whatever the header's range. "
                "A cross is outside the 3-sigma control limits.",
            ),
        )
    ]


def _tables() -> list[Component]:
    zones = tiles.tile(
        "production-zones-today",
        "Zones today",
        "Each leads to its own page; the small line is its throughput by hour.",
        html.Div(id="production-zones"),
    )
    parity = layers_tile.tile(
        "production-parity",
        "Delta, PostgreSQL and history compared",
        "The last recomputation over the whole history against what the stream has written to both.",
    )
    return [html.Div(zones, className="all"), html.Div(parity, className="all")]


def view() -> DomainView:
    """The domain in the snapshot in force."""
    return tiles.view_of(schema.DOMAIN.name)


@callback(
    Output("production-kpis", "children"),
    Output("production-zones", "children"),
    *tiles.outputs("production-zones-today"),
    Input("live", "data"),
)
def update_numbers(_version: str | None) -> tuple[Any, ...]:
    """The numbers on top and the table of zones."""
    now = view()
    return board_view.kpis(now), board_view.zone_table(now), *board_view.state(now)


@callback(
    *[charts.figure_of(f"production-{name}-figure") for name in FIGURES],
    *[output for name in FIGURES for output in tiles.outputs(f"production-{name}")],
    Input("live", "data"),
    Input("scheme", "data"),
)
def update_figures(_version: str | None, scheme: str | None) -> tuple[Any, ...]:
    """The four figures."""
    now = view()
    states = [part for _ in FIGURES for part in board_view.state(now)]
    if now.served.empty or not scheme:
        return *[no_update] * len(FIGURES), *states
    zones = board_view.zones_today(now)
    figures = (
        board_charts.units(zones, scheme),
        board_charts.defects(zones, scheme),
        board_charts.pareto(board_view.pareto(now, LINE), scheme),
        board_charts.throughput(board_view.p_chart(board_view.hours(now, LINE)), scheme, "production"),
    )
    return *figures, *states


@callback(Output("production-parity-body", "children"), *tiles.outputs("production-parity"), Input("live", "data"))
def update_parity(_version: str | None) -> tuple[Any, ...]:
    """The comparison of the last recomputation."""
    now = view()
    return board_view.parity_body(now), *tiles.tile_state(now.parity, now.parity.committed_at, board_view.NO_RECOMPUTE)
