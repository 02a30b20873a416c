"""What the Health page shows of the queries and topics, as pure functions of a HealthView."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.live.broker import TopicView
from dashboard.live.health import PARTITION_SECONDS, HealthView, lags_of
from dashboard.live.queries import QueryHealth
from dashboard.pages.health.cells import error_row, size, state_word
from dashboard.ui import formats, tiles
from dashboard.ui.sparkline import sparkline
from dashboard.ui.tiles import TileState
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.peek import Peeked
from lakehouse.streaming import lag

NO_QUERY = "No query has run yet. Start everything: `lake up`"
NO_TOPIC = "The broker has no topic yet. Start everything: `lake up`"
QUERY_COLUMNS = {
    "Query": "text",
    "State": "text",
    "Pace": "text",
    "Batch": "number",
    "Rows/s in": "number",
    "Rows/s done": "number",
    "Last batch": "text",
    "Latency": "text",
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
    lags = lags_of(view, query.full_name, "lag", PARTITION_SECONDS)
    cells = [
        name,
        tiles.cell("state", state_word(query.state, query.tone), query.state, number=False),
        tiles.cell("trigger", pace(query.trigger), query.trigger or None, number=False),
        tiles.cell("batch", formats.count(query.batch_id), query.batch_id),
        tiles.cell("input", formats.decimal(query.input_rate), query.input_rate),
        tiles.cell("processed", formats.decimal(query.processed_rate), query.processed_rate),
        tiles.cell("seconds", batch_bar(query), query.batch_seconds, number=False),
        tiles.cell("latency", latency(query), query.latency_ms and query.latency_ms[1], number=False),
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


def latency(query: QueryHealth) -> Any:
    """What a request waits for its answer, of a query in real-time mode."""
    if query.latency_ms is None:
        return formats.NOTHING
    p50, p95 = query.latency_ms
    title = f"The last minute: half were answered within {p50:,.0f} ms, 95 of 100 within {p95:,.0f} ms."
    return html.Span(f"{p50:,.0f} · {p95:,.0f} ms", title=title)


def _kept(query: QueryHealth) -> Any:
    if query.state_rows is None:
        return formats.NOTHING
    return html.Span(formats.count(query.state_rows), title=size(query.state_bytes))


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
    """A row per topic, or per partition, with the lag of each query that reads it; sorted as asked.

    Of a topic with many partitions, the ten that are the furthest behind are shown.
    """
    shown = [row for domain, topics in view.topics.items() for row in _rows(view, domain, topics, by_partition)]
    key = str(order.get("column")) if order.get("column") in TOPIC_COLUMNS else "topic"
    there = [row for row in shown if row[key] is not None]
    there.sort(key=lambda row: row[key], reverse=bool(order.get("down")))
    return [_topic_row(row, by_partition) for row in [*there, *(row for row in shown if row[key] is None)]]


def _rows(
    view: HealthView, domain: str, topics: Sequence[TopicView], by_partition: bool
) -> Iterator[Mapping[str, Any]]:
    lags = {query.name: query.lags for query in view.queries if query.domain == domain}
    for topic in topics:
        rows = {(row["topic"], row["partition"]): row for row in _topic(topic, lags)}
        if by_partition:
            yield from (rows[where] for where in lag.worst({where: row["lag"] for where, row in rows.items()}))
        elif rows:
            yield _whole(list(rows.values()))


def _topic(topic: TopicView, lags: Mapping[str, Mapping[TopicPartition, int | None]]) -> Iterator[dict[str, Any]]:
    starts = dict(topic.starts)
    for where, end in topic.ends:
        behind = {query: known[where] for query, known in lags.items() if where in known}
        yield {
            "topic": topic.name,
            "partition": where[1],
            "start": starts.get(where, 0),
            "end": end,
            "retained": end - starts.get(where, 0),
            "rate": topic.rate,
            "lags": behind,
            "lag": max((known for known in behind.values() if known is not None), default=None),
        }


def _whole(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The partitions of a topic as one row."""
    lags = {query: lag.total([part["lags"].get(query) for part in parts]) for query in parts[0]["lags"]}
    sums = {key: sum(part[key] for part in parts) for key in ("start", "end", "retained")}
    worst = max((behind for behind in lags.values() if behind is not None), default=None)
    whole = {"topic": parts[0]["topic"], "partition": len(parts), "rate": parts[0]["rate"], "lags": lags, "lag": worst}
    return sums | whole


def _topic_row(row: Mapping[str, Any], by_partition: bool) -> Component:
    each = [
        html.Span([html.Span(f"{query} ", className="second"), formats.count(behind)], **tiles.attributes(lag_of=query))
        for query, behind in row["lags"].items()
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
