"""A domain's flow as boxes: what each part does now, as pure functions of a DomainView."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.live import broker
from dashboard.live.broker import TopicView
from dashboard.live.domain_view import DomainView, LayersView
from dashboard.live.queries import QueryView
from dashboard.ui import formats, layers_tile, tiles
from dashboard.ui.flow_plan import COMPUTED, Node, Plan, plan
from lakehouse.tables.reader import Reading

BEHIND_SECONDS = broker.BEHIND_SECONDS
HEALTH = "/health-ui"
NOT_RUNNING, YOUR_OWN = "not running", "your own"
_POSTGRES = {"running": "ok", "starting": "warn", NOT_RUNNING: "off", YOUR_OWN: "idle"}  # the colour of its state
# Where the detail of each kind of box is while no page of the domain shows its table.
_DETAILS = {
    "producer": f"{HEALTH}#health-topics",
    "topic": f"{HEALTH}#health-topics",
    "written-topic": f"{HEALTH}#health-topics",
    "query": f"{HEALTH}#health-queries",
    "dead-letters": f"{HEALTH}#health-dead-letters",
    "processes": f"{HEALTH}#health-processes",
    "postgres": f"{HEALTH}#health-processes",
    "table": f"{HEALTH}#health-tables",
    "recompute": f"{HEALTH}#health-tables",
    "page": HEALTH,
}


@dataclass(frozen=True)
class Links:
    """What the domain's pages say of themselves: the address of the first, and where each table is shown."""

    page: str = HEALTH
    tables: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: str, table: str = "") -> str:
        """The address of the detail of a box."""
        return self.page if kind == "page" else self.tables.get(table) or _DETAILS[kind]


@dataclass(frozen=True)
class Box:
    """What a part says of itself: its title, its state as colour and word, its numbers."""

    title: str
    state: str  # ok, idle, warn, error, off
    word: str
    lines: Sequence[tuple[str, Any]] = ()


def box(node: Node, view: DomainView, postgres: str) -> Box:
    """What a part of the flow does now; `postgres` is the state of that server."""
    if node.kind == "postgres":
        return Box("PostgreSQL", _POSTGRES.get(postgres, "error"), postgres)
    return _BOXES[node.kind](node, view)


def _producer(view: DomainView) -> Box:
    lines = [("events/s", formats.decimal(view.topic.rate)), ("newest", tiles.age(view.history.newest_event_at))]
    if view.topic.error:
        return Box("producer", "off", "unknown", lines)
    sending = bool(view.topic.rate)
    return Box("producer", "ok" if sending else "idle", "sending" if sending else "silent", lines)


def _topic(topic: TopicView) -> Box:
    lines = [("events", formats.count(topic.events)), ("partitions", formats.count(len(topic.ends) or None))]
    if topic.error:
        return Box(f"topic {topic.name}", "error", "no answer", lines)
    return Box(f"topic {topic.name}", "ok", "answering", lines)


def _query(query: QueryView, topic: TopicView) -> Box:
    behind = query.lag or 0
    state, word = {"running": ("ok", "running"), "stopped": ("error", "stopped")}.get(
        query.state, ("off", "not started")
    )
    if query.error:
        state, word = "error", "damaged"
    elif query.state == "running" and behind > BEHIND_SECONDS * max(topic.rate or 0, 10):
        state, word = "warn", "catching up"
    lines = [
        ("lag", "unknown" if query.lag is None and query.state != "not started" else formats.count(query.lag)),
        ("rows/s", formats.decimal(query.rows_per_second)),
        ("batch", formats.NOTHING if query.batch_id is None else f"#{query.batch_id:,}"),
        ("took", formats.seconds(query.batch_seconds)),
    ]
    return Box(f"{query.name} query", state, word, lines)


def _table(reading: Reading, name: str, more: Sequence[tuple[str, Any]] = ()) -> Box:
    lines = [("rows", formats.count(reading.total)), *more, ("written", tiles.age(reading.committed_at))]
    if reading.error:
        return Box(name, "error", "unreadable", lines)
    if reading.state == "empty":
        return Box(name, "off", "empty", [("rows", "0")])
    return Box(name, "ok", "filled", lines)


def _more(table: str, view: DomainView) -> list[tuple[str, Any]]:
    """What the table says beside its rows."""
    if view.layers and table == view.layers.of.speed.name and view.speed.state != "empty":
        if "is_final" not in view.served:  # a `serve` of the domain's own need not know open windows
            return []
        return [("provisional", formats.count(int((~view.served["is_final"].astype(bool)).sum())))]
    if view.tables[table] is view.history:
        return [("streamed", formats.count(view.history.streamed))]
    return []


def _dead_letters(reading: Reading) -> Box:
    if reading.error:
        return Box("dead letters", "error", "unreadable", [("rows", formats.count(reading.total))])
    if not reading.total:
        return Box("dead letters", "ok", "none", [("rows", "0")])
    reason = str(reading.frame["reason"].value_counts().index[0]) if len(reading.frame) else formats.NOTHING
    return Box("dead letters", "warn", "to look at", [("rows", formats.count(reading.total)), ("mostly", reason)])


def _recompute(parity: Reading) -> Box:
    if parity.error:
        return Box("recompute", "error", "unreadable")
    if parity.state == "empty":
        return Box("recompute", "off", "never run", [("runs", "nightly")])
    differing = len(parity.frame)
    lines = [("last run", tiles.age(parity.committed_at)), ("parity", layers_tile.agreement(parity))]
    return Box("recompute", "warn" if differing else "ok", "differs" if differing else "agrees", lines)


def _page(view: DomainView) -> Box:
    lines = [("data age", tiles.age(view.history.newest_event_at))]
    lines += _by_layer(view.layers) if view.layers else []
    shown = len(view.served) > 0 if view.layers else any(table.total for table in view.tables.values())
    return Box("this page", "ok" if shown else "off", "serving" if shown else "nothing yet", lines)


def _by_layer(layers: LayersView) -> list[tuple[str, Any]]:
    counts = layers.served["layer"].value_counts()
    return [(f"from {layer}", formats.count(counts.get(layer, 0))) for layer in ("batch", "speed")]


_BOXES: Mapping[str, Callable[[Node, DomainView], Box]] = {
    "producer": lambda _node, view: _producer(view),
    "topic": lambda node, view: _topic(view.topics[node.of]),
    "written-topic": lambda node, view: _topic(view.written_topics[node.of]),
    "query": lambda node, view: _query(view.queries[node.of], view.topic_of(node.of)),
    "table": lambda node, view: _table(view.tables[node.of], node.of, _more(node.of, view)),
    "dead-letters": lambda _node, view: _dead_letters(view.dead_letters),
    "recompute": lambda _node, view: _recompute(view.parity),
    "page": lambda _node, view: _page(view),
}


def drawing(view: DomainView, links: Links, postgres: str = NOT_RUNNING) -> Component:
    """The flow of a domain as components; assets/core/flow.js draws the lines between the boxes."""
    planned = plan(view.domain, view.layers.of if view.layers else None)
    drawn = {node: _draw(view.domain.name, node, box(node, view, postgres), links) for node in planned.nodes}
    topics = [component for node, component in drawn.items() if node.kind == "topic"]
    others = [component for node, component in drawn.items() if node.kind not in ("producer", "topic")]
    first = [component for node, component in drawn.items() if node.kind == "producer"]
    moving = bool(view.topic.rate)
    return html.Div(
        [_lines(planned, moving), *first, html.Div(topics, className="flow-topics"), *others],
        className="flow",
        style={"--query-rows": planned.last_row},
    )


def _lines(planned: Plan, moving: bool) -> Component:
    edges = " ".join(f"{start}>{end}" for start, end in planned.edges)
    return html.Div(
        className="flow-lines", **tiles.attributes(edges=edges, moving=str(moving).lower(), aria_hidden="true")
    )


def _draw(domain: str, node: Node, shown: Box, links: Links) -> Component:
    rows = [html.Div([html.Dt(label), html.Dd(value)]) for label, value in shown.lines]
    link = dcc.Link(shown.title, href=links.of(node.kind, node.of))  # page.css stretches it over the box
    head = [html.Strong(link), html.Span(shown.word, className="node-word")]
    computed = "true" if node.column == COMPUTED else None  # by jobs: no stream runs along its lines
    return html.Div(
        [html.Div(head, className="node-head"), html.Dl(rows)],
        id=f"flow-{domain}-{node.name}",
        className=f"node node-{node.layer} node-of-{node.kind}",
        style={"--column": node.column, "--row": node.row},
        **tiles.attributes(state=shown.state, node=node.name, layer=node.layer, computed=computed),
    )
