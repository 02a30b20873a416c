"""The building blocks of a page: tile, KPI, table. A tile is loading, empty, ready, stale or an error; never blank.

Ages and clocks are painted in the browser (assets/core/live.js) from `data-age` and `data-as-of`, so they go on when
the server is silent, and an unchanged snapshot costs no update.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
from dash import Output, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.live import snapshot
from dashboard.live.broker import TopicView
from dashboard.live.domain_view import DomainView
from dashboard.ui import formats
from lakehouse.tables.reader import Reading


def attributes(**values: Any) -> dict[str, Any]:
    """Attributes of an element: aria_label=… is aria-label, as_of=… is data-as-of; those that are None are left out."""
    names = {name: name.replace("_", "-") for name in values}
    named = {name if name.startswith("aria-") else f"data-{name}": values[key] for key, name in names.items()}
    return {name: value for name, value in named.items() if value is not None}


class TileState(NamedTuple):
    """The three properties of a tile that a callback sets, in the order of `outputs`."""

    state: str
    notice: Sequence[Any]
    as_of: str | None


LOADING = TileState("loading", [], None)


def tile(
    tile_id: str, title: str, meaning: str, *body: Any, stale_after: int = 30, now: TileState = LOADING
) -> Component:
    """A titled panel, `loading` until a callback says otherwise; marked when older than `stale_after` seconds."""
    return html.Section(
        [
            html.Header(
                [
                    html.H2(title),
                    html.Span(
                        id=f"{tile_id}-as-of", className="as-of", **attributes(stale_after=stale_after, as_of=now.as_of)
                    ),
                    _csv(tile_id, title),
                ]
            ),
            html.P(formats.with_code(meaning), className="meaning"),
            html.P(now.notice, id=f"{tile_id}-notice", className="notice", role="status"),
            html.Div(className="skeleton", **attributes(aria_hidden="true")),
            html.Div(list(body), className="tile-body"),
        ],
        id=tile_id,
        className="tile",
        **attributes(state=now.state, aria_label=title),
    )


def _csv(tile_id: str, title: str) -> Component:
    """Saves what the tile shows; assets/core/csv.js reads it off the page."""
    label = f"Save {title} as CSV"
    return html.Button("CSV", type="button", className="csv", title=label, **attributes(csv=tile_id, aria_label=label))


def outputs(tile_id: str) -> list[Output]:
    """Where a TileState goes."""
    return [
        Output(tile_id, "data-state"),
        Output(f"{tile_id}-notice", "children"),
        Output(f"{tile_id}-as-of", "data-as-of"),
    ]


def view_of(domain: str) -> DomainView:
    """The domain in the snapshot in force; stops the callback while there is none."""
    view = snapshot.view(domain)
    if view is None:
        raise PreventUpdate
    return view


def tile_state(reading: Reading, as_of: datetime | str | None, empty: str) -> TileState:
    """The state of a tile that shows a table; `empty` names the command that fills it."""
    when = moment(as_of)
    if reading.error:
        kept = len(reading.frame) > 0
        return TileState("stale" if kept else "error", formats.with_code(reading.error), when if kept else None)
    if reading.state == "empty":
        return TileState("empty", formats.with_code(empty), None)
    return TileState("ready", [], when)


def moment(value: datetime | str | None) -> str | None:
    """A time as the browser reads it; 'live' stays."""
    return value.isoformat() if isinstance(value, datetime) else value


def kpi(kpi_id: str, label: str | Component, value: Any, note: Any = "", state: str = "ready") -> Component:
    """A number with its name, which may be a link, and one line under it."""
    return html.Div(
        [
            html.Div(label, className="kpi-label"),
            html.Div(value, id=f"{kpi_id}-value", className="kpi-value"),
            html.Div(note, className="kpi-note"),
        ],
        id=kpi_id,
        className="kpi",
        **attributes(state=state),
    )


def loading_kpis(number: int) -> list[Component]:
    """What stands where KPIs will be."""
    return [html.Div(html.Div(className="skeleton"), className="kpi", **attributes(state="loading"))] * number


def rate_note(topic: TopicView, note: str = "over the last 10 s") -> str:
    """The line under a number that comes from the broker."""
    return "the broker does not answer" if topic.error else note


def age(since: datetime | None) -> Any:
    """How long ago, counted on by the browser."""
    return formats.NOTHING if since is None else html.Span(**attributes(age=since.isoformat()))


def table(table_id: str, columns: Mapping[str, str], rows: Sequence[Component], caption: str) -> Component:
    """A plain table; `columns` maps a heading to its kind, 'text' or 'number'."""
    heads = [html.Th(title, className=kind, scope="col") for title, kind in columns.items()]
    parts = [html.Caption(caption), html.Thead(html.Tr(heads)), html.Tbody(list(rows))]
    return html.Div(html.Table(parts, id=table_id), className="table-scroll", tabIndex=0)


def cell(field: str, shown: Any, value: Any = None, number: bool = True) -> Component:
    """A table cell; `data-value` is the unrounded value."""
    exact = None if value is None else str(value)
    return html.Td(shown, className="number" if number else "text", **attributes(field=field, value=exact))


def exact(shown: Any, value: float | None) -> Component:
    """A number as it is shown, with its unrounded value beside it."""
    return html.Span(shown, **attributes(value=None if value is None else str(value)))


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame, columns as attributes."""
    return iter(frame.itertuples(index=False))
