"""The tiles of the houses page before their first data."""

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.pages.houses import live_view
from dashboard.ui import charts, event_grid, layers_tile, tiles
from jobs.houses import schema

LINES, MULTIPLES = "lines", "multiples"
SHAPES = {LINES: "Lines", MULTIPLES: "Small multiples"}
_FEED = [
    event_grid.column("time", "Time (UTC)", 92),
    event_grid.column("id", "House", 102),
    event_grid.column("price", "Price", 98, "money"),
    event_grid.column("predicted", "Predicted", 98, "money"),
    event_grid.column("off", "Differs", 72, "change"),
    event_grid.column("built", "Built", 104),
    event_grid.column("beds", "Beds", 52, "number"),
    event_grid.column("baths", "Baths", 56, "number"),
    event_grid.column("sqft", "Sq ft", 60, "number"),
    event_grid.column("zip", "Zip", 60),
]


def last_window() -> Component:
    """The newest window of each decade, as bars."""
    return tiles.tile(
        "houses-last-window",
        "Last window per decade",
        "Average price of the newest window of each decade built; the number on a bar is its sales. The thin line is a "
        "95 % band: how far the average may lie from that of all such houses. Fewer than 5 sales have none.",
        html.P(id="houses-last-window-caption", className="caption"),
        html.Div(id="houses-last-window-note"),
        charts.graph("houses-last-window-bars"),
        html.Details([html.Summary("Show as table"), html.Div(id="houses-last-window-rows")]),
    )


def windows(chosen: list[str], shape: str) -> Component:
    """Past windows, as lines or as small charts."""
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
        "The windows of the time range above. Hollow points are provisional; diamonds are served by the batch layer.",
        html.Div([_picker(chosen), _shapes(shape)], className="filters"),
        html.P(id="houses-windows-layers", className="caption"),
        charts.graph("houses-windows-lines"),
        dcc.Store(id="houses-windows-data"),
        html.Details([html.Summary("Show as table"), html.Div(table, className="table-scroll", tabIndex=0)]),
    )


def _picker(chosen: list[str]) -> Component:
    picker: Component = dmc.MultiSelect(
        id="houses-decades",
        data=[{"value": decade, "label": f"{decade}s"} for decade in chosen],
        value=chosen,
        placeholder=f"The {live_view.BUSIEST} decades with most sales",
        clearable=True,
        searchable=True,
        size="xs",
        className="grow",
        **tiles.attributes(aria_label="Decades drawn"),
    )
    return picker


def _shapes(shape: str) -> Component:
    control: Component = dmc.SegmentedControl(
        id="houses-shape",
        value=shape,
        data=[{"value": value, "label": label} for value, label in SHAPES.items()],
        size="xs",
        **tiles.attributes(aria_label="One chart of all decades, or one small chart each"),
    )
    return control


def live_feed() -> Component:
    """The newest sales."""
    return tiles.tile(
        "houses-feed",
        "Live sales",
        f"The newest {event_grid.ROWS} valid sales, newest first, and the price that the live model gives.",
        html.P(id="houses-feed-model", className="caption"),
        event_grid.grid("houses-feed-grid", _FEED, 420),
        event_grid.follow("houses-feed-grid", schema.DOMAIN.name),
        event_grid.delay("houses-feed-grid"),
        dcc.Store(id="houses-feed-keys", data=[]),
        dcc.Store(id="houses-feed-version", data=""),
    )


def parity() -> Component:
    """What the last recomputation found."""
    return layers_tile.tile(
        "houses-parity",
        "Speed and batch layer compared",
        "The last recomputation over distinct sales against what the stream had shown, and why they differ.",
    )
