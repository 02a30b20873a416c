"""Figures of the board of the production line, plain JSON from frames; text that came from events is escaped."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dashboard.ui import charts
from dashboard.ui.charts import Figure, escaped
from jobs.production.plant import plant

GOOD, BAD = 0, 1  # places in the palette
HOUR = pd.Timedelta(hours=1)
FEW = 5
LONG = 24  # characters of a name under its bar


def _layout(scheme: str, revision: str, across: Figure, **axis: Any) -> Figure:
    look = charts.layout(scheme)
    upwards = look["yaxis"] | {"tickprefix": "", "tickformat": ",d"} | axis
    return look | {"uirevision": revision, "showlegend": True, "xaxis": look["xaxis"] | across, "yaxis": upwards}


def _counts(most: int) -> Figure:
    """An axis of counts: where they are few, Plotly would write halves and round them, 1 1 2 2."""
    return {"tickmode": "linear", "dtick": 1} if most <= FEW else {}


def _names(labels: Sequence[object]) -> Figure:
    """An axis of names, each a category of its own; long ones are shown cut, their bar's note has them whole."""
    names = [escaped(label) for label in labels]
    axis = {"type": "category", "categoryorder": "array", "categoryarray": names}
    if all(len(str(label)) <= LONG for label in labels):
        return axis
    cut = [text if len(text) <= LONG else f"{text[: LONG - 1]}…" for text in map(str, labels)]
    return axis | {"tickmode": "array", "tickvals": names, "ticktext": [escaped(text) for text in cut]}


def _bar(name: str, labels: Sequence[object], values: Sequence[Any], colour: str, hatch: str = "") -> Figure:
    pattern = {"shape": hatch, "size": 6, "solidity": 0.35, "fillmode": "replace", "fgcolor": colour}
    return {
        "type": "bar",
        "name": name,
        "x": [escaped(label) for label in labels],
        "y": [int(value) for value in values],
        "marker": {"color": colour, "line": {"color": colour, "width": 1}, "pattern": pattern},
        "hovertemplate": f"%{{x}}: %{{y:,d}} {name}<extra></extra>",
    }


def units(zones: pd.DataFrame, scheme: str) -> Figure:
    """Units per zone, good and defective ones stacked."""
    colours, labels = charts.PALETTE[scheme], zones["zone_id"].tolist()
    good = zones["units"] - zones["defective_units"]
    data = [
        _bar("good", labels, good.tolist(), colours[GOOD]),
        _bar("defective", labels, zones["defective_units"].tolist(), colours[BAD], "/"),
    ]
    look = _layout(scheme, "units", _names(labels), **_counts(max(zones["units"], default=0)))
    return {"data": data, "layout": look | {"barmode": "stack", "bargap": 0.3}}


def defects(zones: pd.DataFrame, scheme: str) -> Figure:
    """Defects per zone: found in it, and charged to it."""
    colours, labels = charts.PALETTE[scheme], zones["zone_id"].tolist()
    data = [
        _bar("found here", labels, zones["defects_found"].tolist(), colours[BAD]),
        _bar("charged to it", labels, zones["defects_charged"].tolist(), colours[3], "/"),
    ]
    most = max([*zones["defects_found"], *zones["defects_charged"]], default=0)
    look = _layout(scheme, "defects", _names(labels), **_counts(most))
    return {"data": data, "layout": look | {"barmode": "group", "bargap": 0.3}}


def pareto(rows: pd.DataFrame, scheme: str) -> Figure:
    """Defects by concern, commonest first, and the share that the commonest ones make."""
    colours, labels = charts.PALETTE[scheme], rows["concern_id"].tolist()
    names = [escaped(label) for label in labels]
    share = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "running share",
        "x": names,
        "y": [float(value) for value in rows["share"]],
        "yaxis": "y2",
        "line": {"color": colours[GOOD], "width": 2},
        "hovertemplate": "up to %{x}: %{y:.0%}<extra></extra>",
    }
    layout = _layout(scheme, "pareto", _names(labels), **_counts(max(rows["defects"], default=0)))
    dim = layout["yaxis"]["tickfont"]
    right = {"overlaying": "y", "side": "right", "range": [0, 1.04], "tickformat": ".0%", "showgrid": False}
    right |= {"tickmode": "linear", "dtick": 0.25}
    second = {"yaxis2": right | {"tickfont": dim, "automargin": True}}
    return {"data": [_bar("defects", labels, rows["defects"].tolist(), colours[BAD]), share], "layout": layout | second}


def throughput(rows: pd.DataFrame, scheme: str, revision: str) -> Figure:
    """Throughput by hour, in its middle, with its mean and control limits from end to end; hours outside are marked."""
    colours, ink = charts.PALETTE[scheme], charts.INK[scheme]
    at, outside = charts.iso(rows["at"] + HOUR / 2), rows["outside"].tolist()
    edges = charts.iso(pd.concat([rows["at"], rows["at"].tail(1) + HOUR]))
    notes = [
        [_time(hour), int(units), "outside its limits" if out else ""]
        for hour, units, out in zip(rows["at"], rows["units"], outside, strict=True)
    ]
    point = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "throughput",
        "x": at,
        "y": [round(float(value), 3) for value in rows["throughput"]],
        "customdata": notes,
        "line": {"color": colours[GOOD], "width": 2},
        "marker": {
            "size": [12 if out else 7 for out in outside],
            "symbol": ["x" if out else "circle" for out in outside],
            "color": [colours[BAD] if out else colours[GOOD] for out in outside],
        },
        "hovertemplate": _OF_HOUR,
    }
    limits = [
        _limit("mean", edges, rows["mean"], ink[1], "solid"),
        _limit("control limits", edges, rows["low"], colours[BAD], "dot"),
        _limit("upper limit", edges, rows["high"], colours[BAD], "dot") | {"showlegend": False},
    ]
    axis = {"rangemode": "normal", "ticksuffix": " %", "tickformat": ".4~g"}
    return {"data": [*limits, point], "layout": _layout(scheme, revision, charts.TIMES, **axis)}


_OF_HOUR = "hour from %{customdata[0]}: %{y:.1f} % of %{customdata[1]:,} units %{customdata[2]}<extra></extra>"


def _time(at: pd.Timestamp) -> str:
    """An hour's start in UTC, and on the plant's clock where that is another one."""
    zone = plant().time_zone
    local = "" if zone == "UTC" else f", {at.tz_convert(zone):%b %d %H:%M} in {zone}"
    return f"{at:%b %d %H:%M} UTC{local}"


def _limit(name: str, edges: Sequence[str], values: "pd.Series[Any]", colour: str, dash: str) -> Figure:
    """A step for each hour, from its start to the next one's."""
    line = {"color": colour, "width": 1.4, "dash": dash, "shape": "hv"}
    numbers = [round(float(value), 3) for value in (*values, *values.tail(1))]
    shown = f"{name}: %{{y:.1f}} %<extra></extra>"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(edges),
        "y": numbers,
        "line": line,
        "hovertemplate": shown,
    }
