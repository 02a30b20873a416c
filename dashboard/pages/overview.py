"""The whole platform on one screen: the lambda flow of each domain, with live rates and the age of the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, callback, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.live import snapshot
from dashboard.live.snapshot import DomainView, Source
from dashboard.pages import discovery
from dashboard.ui import flow, formats, tiles
from dashboard.ui.tiles import TileState
from lakehouse.ops.status import ProcessView
from lakehouse.tables.reader import Reading

NAME = "Overview"
PATH = "/"
ORDER = 0
ICON = "core/icons/flow"
MEANING = (
    "Every event goes two ways: at once into the windows of the speed layer, and into the history that the batch layer "
    "recomputes them from."
)

READY = TileState("ready", [], None)
PROCESS_STATES = {"running": "ok", "ready": "ok", "finished": "idle", "stopped": "error", "failed": "error"}


def layout(**_query: str) -> Component:
    """The page before the first snapshot: skeletons."""
    loading = [
        html.Div(tiles.loading_kpis(6), className="kpis"),
        tiles.tile("overview-loading", "Flow", MEANING),
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
    sections = [
        html.Div(domain_section(source, current.domains[source.domain.name], as_of), className="domain")
        for source in snapshot.sources()
        if source.domain.name in current.used()
    ]
    return [*sections, *processes(current.processes)]


def processes(views: Sequence[ProcessView]) -> list[Component]:
    """What `lake up` runs, one line each; nothing when the parts were started by hand."""
    if not views:
        return []
    items = [
        html.Li(
            [dcc.Link(view.name, href=flow.detail("processes")), html.Span(_process_word(view), className="node-word")],
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


def domain_section(source: Source, view: DomainView, as_of: str | None) -> list[Component]:
    """A domain's KPIs and its flow."""
    domain = source.domain
    details = _details(domain.name)
    drawn = flow.drawing(domain.name, flow.boxes(view, source), bool(view.topic.rate), details)
    tile = tiles.tile(
        f"overview-{domain.name}",
        domain.title,
        MEANING,
        html.Div(drawn, className="flow"),
        _legend(),
        now=TileState("ready", formats.with_code(_notice(source, view)), as_of),
    )
    return [html.Div(kpis(domain.name, view, details), className="kpis"), tile]


def _details(domain: str) -> Mapping[str, str]:
    section = discovery.sections().get(domain)
    return section.details if section else flow.NO_DETAILS


def _notice(source: Source, view: DomainView) -> str:
    """What stands in the way of the flow, and the command that starts it."""
    if view.topic.events == 0 and source.domain.produce:
        return f"Nothing has been sent yet. Start it: `./spark-submit.sh {source.domain.path(source.domain.produce)}`"
    return view.topic.error


def _legend() -> Component:
    keys = [html.Span(f"{layer} layer", className=f"key key-{layer}") for layer in ("speed", "batch")]
    return html.Div(keys, className="legend")


def kpis(domain: str, view: DomainView, details: Mapping[str, str] = flow.NO_DETAILS) -> list[Component]:
    """The six numbers on top, each a link to its detail."""
    topic, history, dead, parity = view.topic, view.history, view.dead_letters, view.parity
    broken = "error" if topic.error else "ready"
    streamed = f"{formats.count(history.streamed)} streamed"
    name = f"overview-{domain}"

    def link(label: str, part: str) -> Component:
        return dcc.Link(label, href=flow.detail(part, details))

    return [
        tiles.kpi(
            f"{name}-topic",
            link("Events on topic", "topic"),
            formats.count(topic.events),
            tiles.rate_note(topic, f"topic {topic.name}"),
            broken,
        ),
        tiles.kpi(
            f"{name}-rate",
            link("Events per second", "producer"),
            formats.decimal(topic.rate),
            tiles.rate_note(topic),
            broken,
        ),
        tiles.kpi(f"{name}-history", link("In history", "history"), *_rows(history, streamed)),
        tiles.kpi(f"{name}-dead-letters", link("Dead letters", "dead-letters"), *_rows(dead, _reasons(dead))),
        tiles.kpi(f"{name}-parity", link("Layers agree", "recompute"), *_parity(parity)),
        tiles.kpi(
            f"{name}-age", link("Newest event", "page"), tiles.age(history.newest_event_at), "ago, by its own time"
        ),
    ]


def _parity(parity: Reading) -> tuple[Any, str, str]:
    """The share of windows in which speed and batch layer agree."""
    share = flow.agreeing(parity)
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
