"""A live list of events in AG Grid: only what is new is added and what is old removed, so nothing flickers."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import pandas as pd
from dash import ClientsideFunction, Input, Output, State, clientside_callback, dcc, html
from dash.development.base_component import Component

from dashboard.live import snapshot
from dashboard.live.event_list import ROWS
from dashboard.live.list_reader import NOT_READ
from dashboard.ui import formats, tiles
from lakehouse.contract import standard_tables

__all__ = ["ROWS"]  # of the newest events that a list shows
LIST_SECONDS = 1  # between two questions of a list; the other tiles are asked for every 2 s
COORDINATES = tuple(standard_tables.COORDINATES)  # which `with_keys` needs
_MONEY = {"function": "params.value == null ? '–' : d3.format('$,.0f')(params.value)"}
_CHANGE = {"function": "params.value == null ? '–' : d3.format('+.1%')(params.value)"}
_COUNT = {"function": "params.value == null ? '–' : d3.format(',')(params.value)"}
_THEME = (
    "themeQuartz.withParams({accentColor: 'var(--mantine-primary-color-filled)', "
    "backgroundColor: 'var(--surface)', foregroundColor: 'var(--mantine-color-text)', "
    "borderColor: 'var(--line)', headerBackgroundColor: 'var(--surface-2)', fontFamily: 'inherit', fontSize: 13, "
    "rowHeight: 34, headerHeight: 36, wrapperBorderRadius: 8, spacing: 6, cellHorizontalPadding: 8})"
)


def column(field: str, title: str, width: int, kind: str = "text") -> dict[str, Any]:
    """A column; `kind` is text, money, number or change (a fraction shown as percent with its sign)."""
    kinds = {"money": _MONEY, "number": _COUNT, "change": _CHANGE}
    formats = {name: {"valueFormatter": formatter} for name, formatter in kinds.items()}
    right = {} if kind == "text" else {"type": "rightAligned"}
    return {"field": field, "headerName": title, "minWidth": width, "flex": width, **right, **formats.get(kind, {})}


def grid(grid_id: str, columns: Sequence[dict[str, Any]], height: int) -> Component:
    """The empty list; rows are known by their `key`."""
    placed = dag.AgGrid(
        id=grid_id,
        rowData=[],
        columnDefs=list(columns),
        defaultColDef={
            **{"sortable": True, "resizable": True, "suppressMovable": True, "suppressHeaderMenuButton": True},
            # No guessing of types: after a first row of another day, times of today were taken for no dates, not shown.
            "cellDataType": False,
        },
        getRowId="params.data.key",
        dashGridOptions={
            "theme": {"function": _THEME},
            "animateRows": False,
            "suppressCellFocus": False,
            "tabToNextCell": {"function": "false"},  # Tab leaves the list, as anywhere; the arrow keys move within
            "overlayNoRowsTemplate": "",
            "asyncTransactionWaitMillis": 50,
        },
        style={"height": height, "width": "100%"},
        dangerously_allow_code=False,
    )
    return html.Div(placed, **tiles.attributes(grid=grid_id))


def follow(grid_id: str, domain: str) -> Component:
    """What lets the browser ask for the domain's list more often than for other tiles, and says where it is read."""
    ticks = dcc.Interval(id=f"{grid_id}-tick", interval=LIST_SECONDS * 1000)
    newest = dcc.Store(id=f"{grid_id}-newest", data={"of": domain, "version": ""})
    shown = dcc.Store(id=f"{grid_id}-shown")  # what `newest` was when the list was answered last
    return html.Div([ticks, newest, shown, html.P(id=f"{grid_id}-source", className="caption")])


def newest_events(domain: str, history: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The domain's newest events beside the history's newest rows, and why only the history has them, if so."""
    events = snapshot.events(domain)
    return (events.rows(history), events.error) if events else (history, NOT_READ)


def read_from(error: str) -> list[Any]:
    """Where the events of a list come from, for `follow`."""
    if error == NOT_READ:
        return []
    if error:
        return formats.with_code(f"Read from the history, some seconds after the topic has them: {error}")
    return ["Read from the topic as they come, before any table has them."]


def delay(grid_id: str) -> Component:
    """Where the browser says how long the events of the list took from the broker to the screen."""
    return html.Div([dcc.Store(id=f"{grid_id}-news"), html.P(id=f"{grid_id}-delay", className="caption")])


def measure_delay(grid_id: str) -> None:
    """Let the browser fill `delay` and ask for `follow` (assets/core/feed.js); once per list, where its page is."""
    seen = Output(f"{grid_id}-delay", "title"), Input(f"{grid_id}-news", "data"), State(f"{grid_id}-delay", "id")
    clientside_callback(ClientsideFunction("lake", "feedDelay"), *seen, prevent_initial_call=True)
    newest = Output(f"{grid_id}-newest", "data"), Input(f"{grid_id}-tick", "n_intervals")
    states = State(f"{grid_id}-newest", "data"), State(f"{grid_id}-shown", "data")
    clientside_callback(ClientsideFunction("lake", "listTick"), *newest, *states, prevent_initial_call=True)


def with_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Events with `key`, their place on the topic, and `recorded`, when the broker had them (ms since 1970)."""
    recorded = (rows["recorded_at"] - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1)
    # With the time: a topic that was made again has other events at the same offsets.
    parts = zip(rows["topic"], rows["partition"], rows["offset"], recorded, strict=True)
    return rows.assign(key=[f"{topic}-{part}-{offset}-{at}" for topic, part, offset, at in parts], recorded=recorded)


def transaction(rows: pd.DataFrame, shown: Sequence[str], renew: bool = False) -> dict[str, Any] | None:
    """What turns the list of the keys `shown` into `rows` (newest first); None when it already is.

    With `renew` the rows already shown are sent again, as their values may have changed.
    """
    known, keys = set(shown), set(rows["key"])
    added = rows[~rows["key"].isin(known)]
    gone = [{"key": key} for key in shown if key not in keys]
    kept = rows[rows["key"].isin(known)].to_dict("records") if renew else []
    if added.empty and not gone and not kept:
        return None
    change = {"add": added.to_dict("records"), "addIndex": 0, "remove": gone, "async": True}
    return change | ({"update": kept} if kept else {})


def news(change: Mapping[str, Any]) -> list[int]:
    """For `delay`: when the broker had the events that a transaction adds, in ms since 1970."""
    return [event["recorded"] for event in change["add"]]
