"""The lambda flow as boxes: what each part does now, as pure functions of a DomainView."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.live import broker
from dashboard.live.broker import TopicView
from dashboard.live.queries import QueryView
from dashboard.live.snapshot import DomainView, Source
from dashboard.ui import formats, tiles
from lakehouse.tables.reader import Reading

EDGES = (
    "producer>topic topic>speed-query topic>history-query speed-query>speed history-query>history "
    "history-query>dead-letters history>recompute recompute>batch speed>page batch>page"
)
BEHIND_SECONDS = broker.BEHIND_SECONDS
HEALTH = "/health-ui"
NO_DETAILS: Mapping[str, str] = {}
# Where the detail of each part is while the domain's section names no address for it.
_DETAILS = {
    "producer": f"{HEALTH}#health-topics",
    "topic": f"{HEALTH}#health-topics",
    "speed-query": f"{HEALTH}#health-queries",
    "history-query": f"{HEALTH}#health-queries",
    "dead-letters": f"{HEALTH}#health-dead-letters",
    "processes": f"{HEALTH}#health-processes",
    "speed": f"{HEALTH}#health-tables",
    "history": f"{HEALTH}#health-tables",
    "recompute": f"{HEALTH}#health-tables",
    "batch": f"{HEALTH}#health-tables",
    "page": HEALTH,
}


@dataclass(frozen=True)
class Box:
    """A part of the flow: its layer, its state as colour and word, and what it says of itself."""

    title: str
    layer: str  # in, speed, batch, out
    state: str  # ok, idle, warn, error, off
    word: str
    lines: Sequence[tuple[str, Any]] = ()


def detail(part: str, details: Mapping[str, str] = NO_DETAILS) -> str:
    """The address of the detail of a part of the flow; `details` are those that the domain's section declares."""
    return details.get(part) or _DETAILS[part]


def boxes(view: DomainView, source: Source) -> dict[str, Box]:
    """Every part of the flow by the name that EDGES uses, in reading order."""
    return {
        "producer": _producer(view),
        "topic": _topic(view.topic),
        "speed-query": _query(view.queries["speed"], view.topic, "speed", source.speed_query),
        "speed": _table(view.speed, source.speed.name, "speed", _windows(view)),
        "history-query": _query(view.queries["history"], view.topic, "batch", source.history_query),
        "history": _table(
            view.history, source.history.name, "batch", [("streamed", formats.count(view.history.streamed))]
        ),
        "dead-letters": _dead_letters(view.dead_letters),
        "recompute": _recompute(view),
        "batch": _table(view.batch, source.batch.name, "batch"),
        "page": _page(view),
    }


def _producer(view: DomainView) -> Box:
    lines = [("events/s", formats.decimal(view.topic.rate)), ("newest", tiles.age(view.history.newest_event_at))]
    if view.topic.error:
        return Box("producer", "in", "off", "unknown", lines)
    sending = bool(view.topic.rate)
    return Box("producer", "in", "ok" if sending else "idle", "sending" if sending else "silent", lines)


def _topic(topic: TopicView) -> Box:
    lines = [("events", formats.count(topic.events)), ("partitions", formats.count(len(topic.ends) or None))]
    if topic.error:
        return Box(f"topic {topic.name}", "in", "error", "no answer", lines)
    return Box(f"topic {topic.name}", "in", "ok", "answering", lines)


def _query(query: QueryView, topic: TopicView, layer: str, name: str) -> Box:
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
    return Box(f"{name} query", layer, state, word, lines)


def _table(reading: Reading, name: str, layer: str, more: Sequence[tuple[str, Any]] = ()) -> Box:
    lines = [("rows", formats.count(reading.total)), *more, ("written", tiles.age(reading.committed_at))]
    if reading.error:
        return Box(name, layer, "error", "unreadable", lines)
    if reading.state == "empty":
        return Box(name, layer, "off", "empty", [("rows", "0")])
    return Box(name, layer, "ok", "filled", lines)


def _windows(view: DomainView) -> list[tuple[str, Any]]:
    if view.speed.state == "empty":
        return []
    return [("provisional", formats.count(int((~view.served["is_final"].astype(bool)).sum())))]


def _dead_letters(reading: Reading) -> Box:
    if reading.error:
        return Box("dead letters", "batch", "error", "unreadable", [("rows", formats.count(reading.total))])
    if not reading.total:
        return Box("dead letters", "batch", "ok", "none", [("rows", "0")])
    reason = str(reading.frame["reason"].value_counts().index[0]) if len(reading.frame) else formats.NOTHING
    return Box(
        "dead letters", "batch", "warn", "to look at", [("rows", formats.count(reading.total)), ("mostly", reason)]
    )


def _recompute(view: DomainView) -> Box:
    if view.parity.error:
        return Box("recompute", "batch", "error", "unreadable")
    if view.parity.state == "empty":
        return Box("recompute", "batch", "off", "never run", [("runs", "nightly")])
    differing = len(view.parity.frame)
    lines = [("last run", tiles.age(view.parity.committed_at)), ("parity", agreement(view.parity))]
    return Box("recompute", "batch", "warn" if differing else "ok", "differs" if differing else "agrees", lines)


def agreeing(parity: Reading) -> float | None:
    """The share of windows that are the same in both layers; None before the first recomputation."""
    return None if not parity.total else (parity.total - len(parity.frame)) / parity.total


def agreement(parity: Reading) -> str:
    """How far speed and batch layer agree: "118 of 120 windows agree; 2 differ by late, resent"."""
    differing = len(parity.frame)
    sentence = f"{formats.count(parity.total - differing)} of {formats.plural(parity.total, 'window')} agree"
    if not differing:
        return sentence
    causes = {cause for causes in parity.frame["cause"] for cause in str(causes).split(" and ")}
    differ = "differs" if differing == 1 else "differ"
    return f"{sentence}; {differing} {differ} by {', '.join(sorted(causes))}"


def _page(view: DomainView) -> Box:
    layers = view.served["layer"].value_counts()
    lines = [
        ("data age", tiles.age(view.history.newest_event_at)),
        ("from batch", formats.count(layers.get("batch", 0))),
        ("from speed", formats.count(layers.get("speed", 0))),
    ]
    shown = len(view.served) > 0
    return Box("this page", "out", "ok" if shown else "off", "serving" if shown else "nothing yet", lines)


def drawing(
    domain: str, parts: Mapping[str, Box], moving: bool, details: Mapping[str, str] = NO_DETAILS
) -> list[Component]:
    """The boxes as components; assets/core/flow.js draws the lines of EDGES between them."""
    lines = html.Div(
        className="flow-lines", **tiles.attributes(edges=EDGES, moving=str(moving).lower(), aria_hidden="true")
    )
    return [lines, *(_draw(domain, name, box, detail(name, details)) for name, box in parts.items())]


def _draw(domain: str, name: str, box: Box, address: str) -> Component:
    rows = [html.Div([html.Dt(label), html.Dd(value)]) for label, value in box.lines]
    link = dcc.Link(box.title, href=address)  # page.css stretches it over the box
    head = [html.Strong(link), html.Span(box.word, className="node-word")]
    return html.Div(
        [html.Div(head, className="node-head"), html.Dl(rows)],
        id=f"flow-{domain}-{name}",
        className=f"node node-{box.layer} at-{name}",
        **tiles.attributes(state=box.state, node=name, layer=box.layer),
    )
