"""The whole platform on one screen: the flow of each domain, with live rates and the age of the data."""

from collections.abc import Sequence
from typing import Any

from dash import Input, Output, callback, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.live import snapshot
from dashboard.live.domain_view import DomainView, LayersView, history_of
from dashboard.pages import discovery
from dashboard.ui import flow, formats, layers_tile, tiles
from dashboard.ui.flow import Links
from dashboard.ui.tiles import TileState
from lakehouse.ops.status import ProcessView
from lakehouse.settings import settings
from lakehouse.tables.reader import Reading
from lakehouse.tables.table_io import Table

NAME = "Overview"
PATH = "/"
ORDER = 0
ICON = "core/icons/flow"
BOTH_WAYS = (
    "Every event goes two ways: at once into the windows of the speed layer, and into the history that the batch layer "
    "recomputes them from."
)
ONE_WAY = "What is sent, which query reads it, and what the query writes."

READY = TileState("ready", [], None)
PROCESS_STATES = {"running": "ok", "ready": "ok", "finished": "idle", "stopped": "error", "failed": "error"}


def layout(**_query: str) -> Component:
    """The page before the first snapshot: skeletons."""
    loading = [
        html.Div(tiles.loading_kpis(6), className="kpis"),
        tiles.tile("overview-loading", "Flow", ONE_WAY),
    ]
    intro = [html.H1("Overview"), html.P("From Kafka to this page: what moves, how fast, and how old it is.")]
    return html.Div([html.Div(intro, className="intro"), html.Div(loading, id="overview")])


@callback(Output("overview", "children"), Input("live", "data"))
def update(_version: str | None) -> list[Component]:
    """Every domain of the snapshot in force."""
    current = snapshot.current()
    if current is None:
        raise PreventUpdate
    as_of = tiles.moment(current.fresh_at())
    postgres = postgres_state(current.processes)
    sections = [
        html.Div(domain_section(view, links_of(name), as_of, postgres), className="domain")
        for name, view in current.domains.items()
        if name in current.used()
    ]
    return [*sections, *processes(current.processes)]


def postgres_state(views: Sequence[ProcessView]) -> str:
    """The state of the server that `lake up` runs; one that somebody else runs is only said to be that."""
    if settings().postgres_dsn != "embedded":
        return flow.YOUR_OWN
    return next((str(view.state) for view in views if view.name == "postgres"), flow.NOT_RUNNING)


def processes(views: Sequence[ProcessView]) -> list[Component]:
    """What `lake up` runs, one line each; nothing when the parts were started by hand."""
    if not views:
        return []
    items = [
        html.Li(
            [dcc.Link(view.name, href=Links().of("processes")), html.Span(_process_word(view), className="node-word")],
            **tiles.attributes(state=PROCESS_STATES.get(view.state, "warn"), process=view.name),
        )
        for view in views
    ]
    meaning = "Started and kept running by `lake up`."
    return [tiles.tile("overview-processes", "Processes", meaning, html.Ul(items, className="processes"), now=READY)]


def _process_word(view: ProcessView) -> str:
    restarts = f", {formats.plural(view.restarts, 'restart')}" if view.restarts else ""
    error = f": {view.last_error}" if view.last_error and view.state != "running" else ""
    return f"{view.state}{restarts}{error}"


def domain_section(
    view: DomainView, links: Links, as_of: str | None, postgres: str = flow.NOT_RUNNING
) -> list[Component]:
    """A domain's KPIs and its flow; `links` leads to its pages, `postgres` is the state of that server."""
    domain = view.domain
    tile = tiles.tile(
        f"overview-{domain.name}",
        domain.title,
        BOTH_WAYS if view.layers else ONE_WAY,
        flow.drawing(view, links, postgres),
        *([_legend()] if view.layers else []),
        now=TileState("ready", formats.with_code(_notice(view)), as_of),
    )
    return [html.Div(kpis(view, links), className="kpis"), tile]


def links_of(domain: str) -> Links:
    """Where the domain's pages show what, as they say it themselves."""
    return Links(discovery.first_address(domain) or flow.HEALTH, discovery.shown_tables(domain))


def _notice(view: DomainView) -> str:
    """What stands in the way of the flow, and the command that starts it."""
    if view.topic.events == 0 and view.domain.produce:
        return f"Nothing has been sent yet. Start it: `./spark-submit.sh {view.domain.path(view.domain.produce)}`"
    return view.topic.error


def _legend() -> Component:
    keys = [html.Span(f"{layer} layer", className=f"key key-{layer}") for layer in ("speed", "batch")]
    return html.Div(keys, className="legend")


def kpis(view: DomainView, links: Links) -> list[Component]:
    """The numbers on top, each a link to its detail: of the topics, the history and the layers that the domain has."""
    history = history_of(view.domain)
    kept = [_history(view, links, history), _newest(view, links)] if history else []
    compared = [_compared(view, links, view.layers)] if view.layers else []
    return [*_topics(view, links), *kept[:1], _dead_letters(view, links), *compared, *kept[1:]]


def _kpi(view: DomainView, name: str, label: str, address: str, *shown: Any) -> Component:
    return tiles.kpi(f"overview-{view.domain.name}-{name}", dcc.Link(label, href=address), *shown)


def _topics(view: DomainView, links: Links) -> list[Component]:
    topic, broken = view.topic, "error" if view.topic.error else "ready"
    which = f"topic {topic.name}" if len(view.topics) == 1 else formats.plural(len(view.topics), "topic")
    label = "Events on topic" if len(view.topics) == 1 else "Events on topics"
    events, rate = formats.count(topic.events), formats.decimal(topic.rate)
    return [
        _kpi(view, "topic", label, links.of("topic"), events, tiles.rate_note(topic, which), broken),
        _kpi(view, "rate", "Events per second", links.of("producer"), rate, tiles.rate_note(topic), broken),
    ]


def _history(view: DomainView, links: Links, table: Table) -> Component:
    rows = _rows(view.history, f"{formats.count(view.history.streamed)} streamed")
    return _kpi(view, "history", "In history", links.of("table", table.name), *rows)


def _newest(view: DomainView, links: Links) -> Component:
    newest = tiles.age(view.history.newest_event_at)
    return _kpi(view, "age", "Newest event", links.of("page"), newest, "ago, by its own time")


def _dead_letters(view: DomainView, links: Links) -> Component:
    dead = view.dead_letters
    return _kpi(view, "dead-letters", "Dead letters", links.of("dead-letters"), *_rows(dead, _reasons(dead)))


def _compared(view: DomainView, links: Links, layers: LayersView) -> Component:
    return _kpi(view, "parity", "Layers agree", links.of("recompute", layers.of.parity.name), *_parity(layers.parity))


def _parity(parity: Reading) -> tuple[Any, str, str]:
    """The share of windows in which speed and batch layer agree."""
    share = layers_tile.agreeing(parity)
    value = html.Span(formats.percent(share), **tiles.attributes(value=None if share is None else str(share)))
    if parity.error:
        return value, "cannot be read", "error"
    return value, "never recomputed" if share is None else f"of {formats.plural(parity.total, 'window')}", "ready"


def _rows(reading: Reading, note: str) -> tuple[str, Any, str]:
    if reading.error:
        return formats.count(reading.total) if reading.total else formats.NOTHING, "cannot be read", "error"
    return formats.count(reading.total), note if reading.total else "none yet", "ready"


def _reasons(dead: Reading) -> str:
    """The commonest reasons among the newest dead letters (not counted over the whole table)."""
    if dead.state != "ready":
        return ""
    common = dead.frame["reason"].value_counts().head(2)
    return "; ".join(f"{number:,} × {reason}" for reason, number in common.items())
