"""What the Health page shows of the queries and topics, as pure functions of a HealthView."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.live.broker import TopicView
from dashboard.live.health import HealthView, lags_of
from dashboard.live.queries import PartitionLag, QueryHealth
from dashboard.pages.health.cells import error_row, size, state_word
from dashboard.ui import formats, tiles
from dashboard.ui.sparkline import sparkline
from dashboard.ui.tiles import TileState
from lakehouse.kafka.peek import Peeked

NO_QUERY = "No query has run yet. Start everything: `lake up`"
NO_TOPIC = "The broker has no topic yet. Start everything: `lake up`"
SPARKLINE_SECONDS = 900
QUERY_COLUMNS = {
    "Query": "text",
    "State": "text",
    "Pace": "text",
    "Batch": "number",
    "Rows/s in": "number",
    "Rows/s done": "number",
    "Last batch": "text",
    "Lag": "number",
    "15 min": "text",
    "Watermark": "number",
    "State rows": "number",
    "Restarts": "number",
}
TOPIC_COLUMNS = {
    "topic": ("Topic", "text"),
    "partition": ("Partitions", "number"),
    "start": ("Start", "number"),
    "end": ("End", "number"),
    "retained": ("Retained", "number"),
    "rate": ("Messages/s", "number"),
    "lag": ("Lag", "number"),
}


def queries_state(view: HealthView) -> TileState:
    """Loading is over: empty when nothing ever ran; a silent broker is named, since lag is then unknown."""
    if all(query.state == "not started" and not query.last_error for query in view.queries):
        return TileState("empty", formats.with_code(NO_QUERY), None)
    silent = next((topic.error for views in view.topics.values() for topic in views[:1] if topic.error), "")
    notice = formats.with_code(f"Lag is unknown. {silent}") if silent else []
    return TileState("ready", notice, tiles.moment(view.as_of()))


def queries_table(view: HealthView) -> Component:
    """A row per query, and one under it for its last error."""
    rows = [row for query in view.queries for row in _query_rows(query, view)]
    return tiles.table("health-queries-table", QUERY_COLUMNS, rows, "Streaming queries")


def _query_rows(query: QueryHealth, view: HealthView) -> list[Component]:
    name = html.Th([html.Span(f"{query.domain} ", className="second"), query.name], scope="row", className="name")
    lags = lags_of(view, query.full_name, "lag", SPARKLINE_SECONDS)
    cells = [
        name,
        tiles.cell("state", state_word(query.state, query.tone), query.state, number=False),
        tiles.cell("trigger", pace(query.trigger), query.trigger or None, number=False),
        tiles.cell("batch", formats.count(query.batch_id), query.batch_id),
        tiles.cell("input", formats.decimal(query.input_rate), query.input_rate),
        tiles.cell("processed", formats.decimal(query.processed_rate), query.processed_rate),
        tiles.cell("seconds", batch_bar(query), query.batch_seconds, number=False),
        tiles.cell("lag", formats.count(query.lag), query.lag),
        tiles.cell("lags", sparkline(lags, f"Lag of {query.full_name} over the last 15 minutes"), number=False),
        tiles.cell("watermark", tiles.age(query.watermark), query.watermark and query.watermark.isoformat()),
        tiles.cell("state_rows", _kept(query), query.state_rows),
        tiles.cell("restarts", formats.count(query.restarts), query.restarts),
    ]
    where = tiles.attributes(query=query.full_name, state=query.state)
    row: list[Component] = [html.Tr(cells, **where)]
    if query.unread is not None:
        sentence = f"{query.unread:.0%} of what the topic still has is unread, and Kafka drops its oldest records: "
        sentence += "let the query catch up, or have Kafka keep more (kafka_limit_gb, retention)."
        row.append(error_row(query.full_name, "Retention is near", sentence, len(QUERY_COLUMNS), "warn"))
    if not query.last_error:
        return row
    kind = "Stopped by" if query.tone == "error" else "Last error"
    return [*row, error_row(query.full_name, kind, query.last_error, len(QUERY_COLUMNS), query.tone)]


def pace(trigger: str) -> str:
    """A trigger in words."""
    if trigger.startswith("0 "):
        return "no pause"
    return trigger.replace(" seconds", " s").replace("available-now", "drain, then end") or formats.NOTHING


def batch_bar(query: QueryHealth) -> Any:
    """The last batch's duration as a bar of the time it may take; full and red above that."""
    if query.batch_seconds is None or query.load is None:
        return formats.NOTHING
    percent = min(query.load, 1) * 100
    parts = ", ".join(f"{name} {millis:,} ms" for name, millis in query.durations)
    label = f"{query.batch_seconds:.2f} of {query.allowed_seconds:g} s"
    fill = html.Span(className="fill", style={"width": f"{percent:.0f}%"})
    over = "over" if query.load > 1 else "within"
    shown = [html.Span(fill, className="bar", **tiles.attributes(aria_hidden="true")), html.Span(label)]
    return html.Div(shown, className="load", title=parts, **tiles.attributes(load=over, value=query.load))


def _kept(query: QueryHealth) -> Any:
    if query.state_rows is None:
        return formats.NOTHING
    return html.Span(formats.count(query.state_rows), title=size(query.state_bytes))


def partitions_table(view: HealthView) -> Component:
    """A row per query and partition: read up to, end, lag, and the lag's last quarter of an hour."""
    columns = {"Query": "text", "Topic": "text", "Partition": "number", "Read up to": "number", "End": "number"}
    columns |= {"Lag": "number", "15 min": "text"}
    rows = [_partition_row(query, part, view) for query in view.queries for part in query.partitions]
    return tiles.table("health-partitions-table", columns, rows, "Lag per partition")


def _partition_row(query: QueryHealth, part: PartitionLag, view: HealthView) -> Component:
    key = f"{part.topic}:{part.partition}"
    label = f"Lag of {query.full_name} on {part.topic} {part.partition} over the last 15 minutes"
    cells = [
        tiles.cell("query", query.full_name, number=False),
        tiles.cell("topic", part.topic, number=False),
        tiles.cell("partition", str(part.partition), part.partition),
        tiles.cell("read", formats.count(part.read), part.read),
        tiles.cell("end", formats.count(part.end), part.end),
        tiles.cell("lag", formats.count(part.lag), part.lag),
        tiles.cell("lags", sparkline(lags_of(view, query.full_name, key, SPARKLINE_SECONDS), label), number=False),
    ]
    return html.Tr(cells, **tiles.attributes(query=query.full_name, partition=key))


def topics_state(view: HealthView) -> TileState:
    """An error while the broker has never answered, stale when it has stopped to."""
    topics = [topic for views in view.topics.values() for topic in views]
    errors = [topic.error for topic in topics if topic.error]
    if errors and all(topic.events is None for topic in topics):
        missing = all("has no topic" in error for error in errors)
        return TileState("empty" if missing else "error", formats.with_code(NO_TOPIC if missing else errors[0]), None)
    return TileState("stale" if errors else "ready", formats.with_code(" ".join(sorted(set(errors)))), _asked(view))


def _asked(view: HealthView) -> str | None:
    return tiles.moment(view.as_of())


def topic_rows(view: HealthView, by_partition: bool, order: Mapping[str, Any]) -> list[Component]:
    """A row per topic, or per partition, with the lag of each query that reads it; sorted as asked."""
    rows = [row for domain, topics in view.topics.items() for topic in topics for row in _topic(view, domain, topic)]
    shown = rows if by_partition else [_whole(rows, topic) for topic in dict.fromkeys(row["topic"] for row in rows)]
    key = str(order.get("column")) if order.get("column") in TOPIC_COLUMNS else "topic"
    there = [row for row in shown if row[key] is not None]
    there.sort(key=lambda row: row[key], reverse=bool(order.get("down")))
    return [_topic_row(row, by_partition) for row in [*there, *(row for row in shown if row[key] is None)]]


def _topic(view: HealthView, domain: str, topic: TopicView) -> list[dict[str, Any]]:
    starts = dict(topic.starts)
    return [
        {
            "topic": topic.name,
            "partition": where[1],
            "start": starts.get(where, 0),
            "end": end,
            "retained": end - starts.get(where, 0),
            "rate": topic.rate,
            "lags": (lags := _lags(view, domain, *where)),
            "lag": max((lag for lag in lags.values() if lag is not None), default=None),
        }
        for where, end in topic.ends
    ]


def _lags(view: HealthView, domain: str, topic: str, partition: int) -> dict[str, int | None]:
    return {
        query.name: part.lag
        for query in view.queries
        if query.domain == domain
        for part in query.partitions
        if (part.topic, part.partition) == (topic, partition)
    }


def _whole(rows: Sequence[Mapping[str, Any]], topic: str) -> dict[str, Any]:
    """The partitions of a topic as one row."""
    parts = [row for row in rows if row["topic"] == topic]
    lags = {}
    for query in parts[0]["lags"]:
        known = [part["lags"].get(query) for part in parts]
        lags[query] = None if None in known else sum(lag for lag in known if lag is not None)
    sums = {key: sum(part[key] for part in parts) for key in ("start", "end", "retained")}
    worst = max((lag for lag in lags.values() if lag is not None), default=None)
    return {**sums, "topic": topic, "partition": len(parts), "rate": parts[0]["rate"], "lags": lags, "lag": worst}


def _topic_row(row: Mapping[str, Any], by_partition: bool) -> Component:
    each = [
        html.Span([html.Span(f"{query} ", className="second"), formats.count(lag)], **tiles.attributes(lag_of=query))
        for query, lag in row["lags"].items()
    ]
    rate = formats.NOTHING if by_partition else formats.decimal(row["rate"])
    cells = [
        html.Th(row["topic"], scope="row", className="name"),
        tiles.cell("partition", formats.count(row["partition"]), row["partition"]),
        *[tiles.cell(key, formats.count(row[key]), row[key]) for key in ("start", "end", "retained")],
        tiles.cell("rate", rate, None if by_partition else row["rate"]),
        tiles.cell("lag", html.Div(each, className="lags") if each else "no query reads it", row["lag"]),
    ]
    return html.Tr(cells, **tiles.attributes(topic=row["topic"]))


def messages(topic: str, found: Sequence[Peeked]) -> Component:
    """The messages that a look has found, newest first; whatever they hold is shown as text."""
    if not found:
        return html.P(f"No message was found on {topic}.", className="caption")
    items = [
        html.Li([html.Div(_headline(message), className="second"), html.Pre(_shown(message))], className="message")
        for message in found
    ]
    return html.Ol(items, className="messages", **tiles.attributes(aria_label=f"Last messages of {topic}"))


def _headline(message: Peeked) -> str:
    at = message.recorded_at.isoformat(timespec="milliseconds") if message.recorded_at else "no time"
    key = "no key" if message.key is None else f"key {message.key}"
    return f"partition {message.partition} · offset {message.offset:,} · {at} · {key} · {size(message.value_bytes)}"


def _shown(message: Peeked) -> str:
    return "null (a tombstone)" if message.value is None else message.value
