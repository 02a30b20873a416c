"""The history of the queries as figures: lag, rates and batch durations over time, and lines the size of a word."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from dash import html
from dash.development.base_component import Component

from dashboard.live.health import HealthView
from dashboard.ui import charts, formats, tiles
from dashboard.ui.tiles import TileState
from lakehouse.streaming import progress_metrics
from lakehouse.streaming.progress_metrics import Series

NO_HISTORY = "Nothing has been measured yet. Start everything: `lake up`"
POINTS = 240


def line_points(series: Series, key: str, since: float, until: float) -> tuple[list[str], list[float | None]]:
    """Times and values to draw: the highest of each of at most 240 steps, None where nobody measured."""
    step = max((until - since) / POINTS, 2.5 * progress_metrics.SECONDS)
    recent = series.since(since)
    column = recent.column(key)
    known = np.isfinite(column)
    places = ((recent.at[known] - since) // step).astype(int)
    highest: dict[int, float] = {}
    for place, value in zip(places.tolist(), column[known].tolist(), strict=True):
        highest[place] = max(value, highest.get(place, value))
    if not highest:
        return [], []
    span = range(min(highest), max(highest) + 1)
    times = [datetime.fromtimestamp(since + (place + 0.5) * step, UTC).isoformat(timespec="seconds") for place in span]
    return times, [highest.get(place) for place in span]


def figure(
    histories: Mapping[str, Series],
    keys: Mapping[str, str],
    names: Sequence[str],
    window: tuple[float, float],
    scheme: str,
    revision: str,
    unit: str = "",
) -> dict[str, Any]:
    """A line per query and key (`keys` maps a key to its word; the second is dashed), broken where nobody measured.

    Plain JSON: Plotly's own objects check each value, which takes a quarter of a second for three figures.
    """
    palette, everything = charts.PALETTE[scheme], sorted({*histories, *names})
    data = []
    for name in names:
        colour = palette[everything.index(name) % len(palette)]
        for number, (key, word) in enumerate(keys.items()):
            times, values = line_points(histories.get(name, Series()), key, *window)
            called = charts.escaped(f"{_short(name, names)} {word}".strip())
            data.append(_line(called, times, values, colour, charts.DASHES[number], unit))
    start, end = (datetime.fromtimestamp(moment, UTC).isoformat() for moment in window)
    layout = charts.layout(scheme)
    # Not as a fixed range: that would be taken for the viewer's zoom and never move on.
    across = charts.TIMES | {"autorangeoptions": {"include": [start, end]}}
    up = {"tickprefix": "", "ticksuffix": unit, "tickformat": "" if unit else "~s"}
    axes = {"xaxis": layout["xaxis"] | across, "yaxis": layout["yaxis"] | up}
    return {"data": data, "layout": layout | axes | {"uirevision": revision, "showlegend": True}}


def _line(name: str, x: list[str], y: list[float | None], colour: str, dash: str, unit: str) -> dict[str, Any]:
    note = f"%{{x|%H:%M:%S}} UTC: %{{y:,.1f}}{unit}<extra>{name}</extra>"
    line = {"color": colour, "width": 1.8, "dash": dash}
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line, "hovertemplate": note}


def _short(name: str, names: Sequence[str]) -> str:
    """A query without its domain where all are of one."""
    return name.split(".", 1)[-1] if len({other.split(".", 1)[0] for other in names}) == 1 else name


def figures(view: HealthView, names: Sequence[str], seconds: int, scheme: str) -> tuple[dict[str, Any], ...]:
    """Lag, rates and batch durations of the named queries."""
    until = view.taken_at.timestamp()
    window, kept = (until - seconds, until), f"-{seconds}"
    return (
        figure(view.lags, {"lag": ""}, names, window, scheme, f"lag{kept}"),
        figure(view.rates, {"input": "in", "processed": "done"}, names, window, scheme, f"rate{kept}"),
        figure(view.rates, {"seconds": ""}, names, window, scheme, f"seconds{kept}", " s"),
    )


def history_state(view: HealthView) -> TileState:
    """Empty until a driver or the dashboard has written a sample."""
    if not any(len(series.at) for series in (*view.rates.values(), *view.lags.values())):
        return TileState("empty", formats.with_code(NO_HISTORY), None)
    return TileState("ready", [], tiles.moment(view.as_of()))


def summary(view: HealthView, names: Sequence[str], seconds: int) -> Component:
    """The charts as a table: means and extremes of the range, and for how long no driver measured."""
    columns = dict.fromkeys(
        ("Query", "Highest lag", "Rows/s in", "Rows/s done", "Longest batch", "Silent for"), "number"
    )
    since = view.taken_at.timestamp() - seconds
    rows = [_summary_row(name, view, since) for name in names]
    return tiles.table("health-history-table", columns | {"Query": "text"}, rows, "The time range in numbers: means")


def _summary_row(name: str, view: HealthView, since: float) -> Component:
    lags, rates = view.lags.get(name, Series()).since(since), view.rates.get(name, Series()).since(since)
    highest, longest = _of(lags.column("lag"), np.max), _of(rates.column("seconds"), np.max)
    silent = silent_seconds(rates, view.taken_at.timestamp())
    means = {field: _of(rates.column(field), np.mean) for field in ("input", "processed")}
    cells = [
        html.Th(name, scope="row", className="name"),
        tiles.cell("lag", formats.count(highest), highest),
        *[tiles.cell(field, formats.decimal(mean), mean) for field, mean in means.items()],
        tiles.cell("seconds", formats.seconds(longest), longest),
        tiles.cell("silent", f"{silent / 60:,.1f} min" if silent >= 60 else f"{silent:.0f} s", silent),
    ]
    return html.Tr(cells, **tiles.attributes(summary=name))


def _of(column: Any, reduce: Callable[[Any], Any]) -> float | None:
    known = column[np.isfinite(column)]
    return round(float(reduce(known)), 3) if len(known) else None


def silent_seconds(series: Series, until: float) -> float:
    """For how long between its first sample and now nobody wrote the series."""
    if not len(series.at):
        return 0.0
    steps = np.diff(np.append(series.at, until))
    return float(steps[steps > 4 * progress_metrics.SECONDS].sum())
