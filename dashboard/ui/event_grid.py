"""A live list of events in AG Grid: only what is new is added and what is old removed, so nothing flickers."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import pandas as pd
from dash import ClientsideFunction, Input, Output, State, clientside_callback, dcc, html
from dash.development.base_component import Component

from dashboard.ui import tiles
from lakehouse.contract import standard_tables

ROWS = 200  # of the newest events that a list shows
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


def delay(grid_id: str) -> Component:
    """Where the browser says how long the events of the list took from the broker to the screen."""
    return html.Div([dcc.Store(id=f"{grid_id}-news"), html.P(id=f"{grid_id}-delay", className="caption")])


def measure_delay(grid_id: str) -> None:
    """Let the browser fill `delay` (assets/core/feed.js); once per list, where its page is imported."""
    seen = Output(f"{grid_id}-delay", "title"), Input(f"{grid_id}-news", "data"), State(f"{grid_id}-delay", "id")
    clientside_callback(ClientsideFunction("lake", "feedDelay"), *seen, prevent_initial_call=True)


def with_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Events with `key`, their place on the topic, and `recorded`, when the broker had them (ms since 1970)."""
    coordinates = [rows[name].astype(str) for name in ("topic", "partition", "offset")]
    recorded = (rows["recorded_at"] - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1)
    return rows.assign(key=coordinates[0] + "-" + coordinates[1] + "-" + coordinates[2], recorded=recorded)


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
