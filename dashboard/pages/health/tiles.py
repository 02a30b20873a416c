"""The tiles of the Health page before their first data."""

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.live.queries import FRESH_SECONDS
from dashboard.pages.health import queries
from dashboard.ui import charts, tiles
from lakehouse.contract.discovery import load_all


def page(drawn: int) -> Component:
    """The page before its first data; `drawn` queries are drawn while none is picked."""
    intro = [html.H1("Health"), html.P("What runs, how fast, how far behind, and what went wrong.")]
    parts = [_queries(), _history(drawn), _partitions(), _topics(), _dead_letters(), _audit(), _tables(), _processes()]
    cells = [html.Div(part, className="all") for part in parts]
    return html.Div([html.Div(intro, className="intro"), html.Div(cells, className="grid")], id="health")


def _tile(name: str, title: str, meaning: str, *body: Any) -> Component:
    return tiles.tile(f"health-{name}", title, meaning, *body, dcc.Store(id=f"health-{name}-stamp"))


def _queries() -> Component:
    meaning = (
        "Each streaming query. The bar compares its last batch with its trigger interval, or against "
        f"{FRESH_SECONDS:.0f} s where it takes no pause; red is too slow. Watermark is its gap to now."
    )
    return _tile("queries", "Queries", meaning, html.Div(id="health-queries-body"))


def _history(at_most: int) -> Component:
    names = [f"{domain.name}.{query}" for domain in load_all() for query in domain.queries]
    controls = [
        dmc.MultiSelect(
            id="health-picked",
            data=names,
            value=[],
            placeholder="All queries" if len(names) <= at_most else f"The first {at_most} queries",
            clearable=True,
            size="xs",
            **tiles.attributes(aria_label="Queries drawn"),
        ),
    ]
    titles = {"lag": "Lag: events not read", "rate": "Rows per second", "seconds": "Batch duration"}
    drawn = [html.Div([html.H3(title), charts.graph(f"health-{name}-chart")]) for name, title in titles.items()]
    meaning = "Over the header's time range; kept for 24 h, whoever restarts. Where a line breaks, nobody measured."
    summary = html.Div(id="health-history-summary")
    charted = html.Div(drawn, className="health-charts")
    return _tile("history", "History", meaning, html.Div(controls, className="filters"), charted, summary)


def _partitions() -> Component:
    body = html.Details([html.Summary("Show partitions"), html.Div(id="health-partitions-body")])
    return _tile(
        "partitions",
        "Lag per partition",
        "How far each query has read its partitions; of many, each topic and the ten furthest behind.",
        body,
    )


def _topics() -> Component:
    heads = [
        html.Th(
            html.Button(
                title,
                id={"type": "health-sort", "column": column, "first": "up" if column == "topic" else "down"},
                className="sort",
                type="button",
            ),
            scope="col",
            className=kind,
            **tiles.attributes(column=column),
        )
        for column, (title, kind) in queries.TOPIC_COLUMNS.items()
    ]
    caption = html.Caption("Topics; the headings sort")
    grid = html.Table(
        [caption, html.Thead(html.Tr(heads)), html.Tbody(id="health-topics-rows")], id="health-topics-table"
    )
    meaning = "Offsets as the broker has them. Spark commits none to Kafka: lag is taken from the checkpoints."
    each = dmc.Switch(id="health-by-partition", label="Each partition", checked=False, size="xs")
    scroll = html.Div(grid, className="table-scroll", tabIndex=0)
    return _tile("topics", "Topics", meaning, each, scroll, dcc.Store(id="health-sort", data={}), *_peek_controls())


def _peek_controls() -> list[Component]:
    names = [topic.name for domain in load_all() for topic in domain.topics]
    select = dmc.Select(
        id="health-peek-topic",
        data=names,
        value=next(iter(names), None),
        allowDeselect=False,
        size="xs",
        **tiles.attributes(aria_label="Topic to look at"),
    )
    button = html.Button("Show the last 20 messages", id="health-peek", className="button", type="button")
    shown = html.Div(id="health-peek-body", role="status")
    return [html.H3("Look at messages"), html.Div([select, button], className="filters"), shown]


def _dead_letters() -> Component:
    meaning = "Events that are no valid data, by reason, with the start of the newest one."
    return _tile("dead-letters", "Dead letters", meaning, html.Div(id="health-dead-letters-body"))


def _audit() -> Component:
    meaning = "The last audit of each domain: each record once in history or dead letters, each average recomputed."
    return _tile("audit", "Audit", meaning, html.Div(id="health-audit-body"))


def _tables() -> Component:
    return _tile("tables", "Delta tables", "Live files only.", html.Div(id="health-tables-body"))


def _processes() -> Component:
    meaning = "Memory is the share of each process and its children, up to 10 s old."
    return _tile("processes", "Processes", meaning, html.Div(id="health-processes-body"))
