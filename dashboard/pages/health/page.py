"""How the platform is: queries with their history, topics, dead letters, Delta tables, processes."""

import functools
import threading
from typing import Any

from dash import ALL, ClientsideFunction, Input, Output, State, callback, clientside_callback, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.live import snapshot
from dashboard.live.health import HealthView
from dashboard.pages.health import audit, history, lake, partitions, queries
from dashboard.pages.health.tiles import page
from dashboard.ui import charts, formats, tiles, time_range
from lakehouse.errors import LakeError
from lakehouse.kafka import peek
from lakehouse.settings import settings

NAME = "Health"
PATH = "/health-ui"  # /health is the probe of the process
ORDER = 90
ICON = "core/icons/health"
DRAWN = 4  # queries drawn while none is picked
_BUSY = "Another look at a topic is under way. Try again in a moment."
_peeking = threading.Lock()


def layout(**_query: str) -> Component:
    """The page before its first data."""
    return page(DRAWN)


def _changed(shown: str | None, *parts: str) -> tuple[HealthView, str]:
    """The view and the stamp of its parts; stops the callback when that is what the page shows already."""
    current = snapshot.current()
    view = current.health if current else None
    stamp = "|".join(view.stamps[part] for part in parts) if view else None
    if view is None or stamp is None or stamp == shown:
        raise PreventUpdate
    return view, stamp


def _part(name: str, child: str = "body", kind: str = "children") -> tuple[Any, ...]:
    """What a tile's callback writes and reads: its body, its state, and the stamp of what it shows."""
    stamp = f"health-{name}-stamp"
    states = tiles.outputs(f"health-{name}")
    return (
        Output(f"health-{name}-{child}", kind),
        Output(stamp, "data"),
        *states,
        Input("live", "data"),
        State(stamp, "data"),
    )


@callback(*_part("queries"))
def update_queries(_version: str | None, shown: str | None) -> tuple[Any, ...]:
    """The table of queries."""
    view, stamp = _changed(shown, "queries", "lags", "topics")
    return queries.queries_table(view), stamp, *queries.queries_state(view)


@callback(*_part("partitions"))
def update_partitions(_version: str | None, shown: str | None) -> tuple[Any, ...]:
    """The table of partitions."""
    view, stamp = _changed(shown, "queries", "lags", "partition_lags", "topics")
    return partitions.partitions_table(view), stamp, *queries.queries_state(view)


@callback(
    charts.figure_of("health-lag-chart"),
    charts.figure_of("health-rate-chart"),
    charts.figure_of("health-seconds-chart"),
    *_part("history", "summary"),
    Input("scheme", "data"),
    Input("view", "data"),
    Input("health-picked", "value"),
)
def update_history(
    _version: str | None, shown: str | None, scheme: str | None, header: dict[str, str] | None, picked: list[str] | None
) -> tuple[Any, ...]:
    """The three charts; drawn again when a sample was added or something else was chosen."""
    view, stamp = _changed(None, "rates", "lags")
    span = (header or {}).get("range", "")
    stamp = f"{stamp}|{scheme}|{span}|{picked}"
    if stamp == shown or not scheme or not header:
        raise PreventUpdate
    known = sorted(view.rates)
    names = [name for name in picked or [] if name in known] or known[:DRAWN]
    seconds = int(time_range.span(span).total_seconds())
    state = history.history_state(view)
    if state.state == "empty":
        return no_update, no_update, no_update, no_update, stamp, *state
    return *_drawn(tuple(names), seconds, scheme, stamp), history.summary(view, names, seconds), stamp, *state


@functools.lru_cache(maxsize=16)
def _drawn(names: tuple[str, ...], seconds: int, scheme: str, _stamp: str) -> tuple[Any, ...]:
    """The figures, drawn once for all who look at the same."""
    view, _ = _changed(None, "rates", "lags")
    return history.figures(view, names, seconds, scheme)


@callback(*_part("topics", "rows"), Input("health-sort", "data"), Input("health-by-partition", "checked"))
def update_topics(
    _version: str | None, shown: str | None, order: dict[str, Any] | None, by_partition: bool
) -> tuple[Any, ...]:
    """The rows of topics, sorted as asked."""
    view, stamp = _changed(None, "topics", "queries")
    stamp = f"{stamp}|{order}|{by_partition}"
    if stamp == shown:
        raise PreventUpdate
    return queries.topic_rows(view, by_partition, order or {}), stamp, *queries.topics_state(view)


@callback(*_part("dead-letters"))
def update_dead_letters(_version: str | None, shown: str | None) -> tuple[Any, ...]:
    """The table of reasons."""
    view, stamp = _changed(shown, "dead_letters")
    return lake.dead_letters_table(view), stamp, *lake.dead_letters_state(view)


@callback(*_part("audit"))
def update_audit(_version: str | None, shown: str | None) -> tuple[Any, ...]:
    """The last audits."""
    view, stamp = _changed(shown, "audits")
    return audit.audit_table(view), stamp, *audit.audit_state(view)


@callback(*_part("tables"))
def update_tables(_version: str | None, shown: str | None) -> tuple[Any, ...]:
    """The table of Delta tables."""
    view, stamp = _changed(shown, "tables")
    return lake.tables_table(view), stamp, *lake.tables_state(view)


@callback(*_part("processes"))
def update_processes(_version: str | None, shown: str | None) -> tuple[Any, ...]:
    """The table of processes."""
    view, stamp = _changed(shown, "processes", "spark_uis")
    return lake.processes_body(view), stamp, *lake.processes_state(view)


@callback(
    Output("health-peek-body", "children"),
    Input("health-peek", "n_clicks"),
    State("health-peek-topic", "value"),
    running=[(Output("health-peek", "disabled"), True, False)],
    prevent_initial_call=True,
)
def look_at_messages(_clicks: int | None, topic: str | None) -> Any:
    """The last messages of a topic of a domain; one look at a time, as each keeps a thread busy for up to 3 s."""
    current = snapshot.current()
    views = [view for seen in (current.health.topics.values() if current and current.health else []) for view in seen]
    view = next((view for view in views if view.name == topic), None)
    if view is None:
        return html.P("There is no such topic.", className="caption")
    if not _peeking.acquire(blocking=False):
        return html.P(_BUSY, className="caption")
    try:
        found = peek.last_messages(settings().brokers(), view.name, dict(view.ends), dict(view.starts))
        return queries.messages(view.name, found)
    except LakeError as error:
        return html.P(formats.with_code(str(error)), className="caption")
    finally:
        _peeking.release()


clientside_callback(
    ClientsideFunction("lake", "healthSort"),
    Output("health-sort", "data"),
    Input({"type": "health-sort", "column": ALL, "first": ALL}, "n_clicks"),
    State("health-sort", "data"),
)
