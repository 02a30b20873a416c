"""Figures in the look of the page, pure functions of frames; text that came from events is escaped."""

import functools
import html
import json
import math
from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from dash import ClientsideFunction, Input, Output, State, clientside_callback, dcc
from dash import html as dash_html
from dash.development.base_component import Component
from plotly.subplots import make_subplots

Figure = dict[str, Any]  # as Plotly reads it
dmc.add_figure_templates()  # mantine_light and mantine_dark
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# After Okabe and Ito: colour-blind readers can tell them apart, too; brighter on dark.
PALETTE = {
    "light": ("#0072B2", "#D55E00", "#00805E", "#B0538A", "#A66F00", "#6554C0"),
    "dark": ("#56B4E9", "#FF8B4D", "#2FC79B", "#DE91BC", "#F0C642", "#8AA4FF"),
}
DASHES = ("solid", "dash", "dot")


def _times(day: str) -> dict[str, Any]:
    """An axis of times. Plotly draws a time as it is written, and the second line only where it changes: once a day."""
    close = {"dtickrange": [None, 59_999], "value": f"%H:%M:%S\n{day}"}  # without seconds two would read the same
    return {"type": "date", "tickformat": f"%H:%M\n{day}", "tickformatstops": [close]}


TIMES = _times("%b %d UTC")
BAR = {"light": "#228be6", "dark": "#4dabf7"}
INK = {"light": ("#212529", "#6c757d", "#e9ecef", "#ffffff"), "dark": ("#e9ecef", "#a6a7ab", "#3b3d42", "#25262b")}


def escaped(value: object) -> str:
    """Text that plotly shows as it is: its labels understand some markup."""
    return html.escape(str(value), quote=False)


def graph(graph_id: str, **options: Any) -> Component:
    """The place of a figure; the box around it gives it its height. Callbacks write to `figure_of` it."""
    config: Any = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    config |= options
    hidden = {"visible": False}  # Plotly draws axes from -1 to 6 for a figure that has not come yet
    clear = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}
    first = {"data": [], "layout": {"xaxis": hidden, "yaxis": hidden, **clear}}
    return dash_html.Div(
        [dcc.Graph(id=graph_id, figure=first, config=config), dcc.Store(id=f"{graph_id}-figure")], className="chart"
    )


def figure_of(graph_id: str) -> Output:
    """Where a callback puts a graph's figure; the browser carries the zoom over into it.

    Plotly's uirevision alone does not: after a zoom Dash redraws the graph with the range as if the app had set it.
    """
    place = Output(graph_id, "figure"), Input(f"{graph_id}-figure", "data"), State(graph_id, "id")
    clientside_callback(ClientsideFunction("lake", "keepView"), *place)
    return Output(f"{graph_id}-figure", "data")


def blank(scheme: str, revision: str) -> go.Figure:
    """A figure without traces: dollars upwards, `revision` constant for as long as zoom is to be kept."""
    ink, dim, grid, _paper = INK[scheme]
    axis = {"gridcolor": grid, "zerolinecolor": grid, "linecolor": grid, "tickfont": {"color": dim}, "automargin": True}
    return go.Figure(
        layout={
            "template": f"mantine_{scheme}",
            "uirevision": revision,  # constant, so that zoom and hidden lines survive every update
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12, "color": ink},
            "margin": {"l": 8, "r": 8, "t": 30, "b": 8},
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "title": {"text": ""},
            },
            "xaxis": axis | {"showgrid": False},
            "yaxis": axis | {"tickprefix": "$", "tickformat": "~s", "rangemode": "tozero"},
            "hoverlabel": {"font": {"family": FONT}},
        }
    )


@functools.cache
def layout(scheme: str) -> Figure:
    """The layout of `blank` as plain JSON, not to be changed in place.

    What is drawn at every tick is plain JSON: Plotly's own objects check each value, which takes half a second for a
    day of windows.
    """
    plain: Figure = json.loads(blank(scheme, "").to_json())["layout"]
    return plain


def bars(rows: pd.DataFrame, counted: str, scheme: str, revision: str) -> Figure:
    """One bar per row (label, value, count, is_final) with its count on top; rows that are not final are hatched.

    `band` is how far the value may be off, up and down; NaN where that is not known.
    """
    kinds = ((True, "final", ""), (False, "provisional: still filling", "/"))
    data = [_bars(rows[rows["is_final"] == final], counted, name, hatch, scheme) for final, name, hatch in kinds]
    look = layout(scheme)
    labels = [escaped(label) for label in rows["label"]]
    across = look["xaxis"] | {"type": "category", "categoryorder": "array", "categoryarray": labels}
    shape = {"uirevision": revision, "barmode": "overlay", "bargap": 0.25, "showlegend": True, "xaxis": across}
    return {"data": [*data, _bands(rows, labels, scheme), _counts(rows, labels)], "layout": look | shape}


def _bars(part: pd.DataFrame, counted: str, name: str, hatch: str, scheme: str) -> Figure:
    colour = BAR[scheme]
    bands = [None if math.isnan(width) else width for width in part["band"].tolist()]
    pattern = {"shape": hatch, "size": 6, "solidity": 0.35, "fillmode": "replace", "fgcolor": colour}
    return {
        "type": "bar",
        "name": name,
        "x": [escaped(label) for label in part["label"]],
        "y": part["value"].tolist(),
        "customdata": [
            f"{number:,}" + ("" if width is None else f"<br>95 % band: ± ${width:,.0f}")
            for number, width in zip(part["count"], bands, strict=True)
        ],
        "marker": {"color": colour, "line": {"color": colour, "width": 1}, "pattern": pattern},
        "hovertemplate": f"%{{x}}: $%{{y:,.0f}}<br>{escaped(counted)}: %{{customdata}}<br>{name}<extra></extra>",
    }


def _bands(rows: pd.DataFrame, labels: list[str], scheme: str) -> Figure:
    """The bands of the bars that have one, as lines through their tops."""
    has = rows["band"].notna()
    widths = {"type": "data", "array": rows.loc[has, "band"].tolist()}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [label for label, there in zip(labels, has, strict=True) if there],
        "y": rows.loc[has, "value"].tolist(),
        "error_y": widths | {"color": INK[scheme][0], "thickness": 1.5, "width": 4},
        "marker": {"size": 1, "color": INK[scheme][0]},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _counts(rows: pd.DataFrame, labels: list[str]) -> Figure:
    """The counts, above the bars and their bands."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": labels,
        "y": (rows["value"] + rows["band"].fillna(0.0)).tolist(),
        "text": [f"{number:,}" for number in rows["count"]],
        "textposition": "top center",
        "textfont": {"size": 10},
        "cliponaxis": False,
        "showlegend": False,
        "hoverinfo": "skip",
    }


def lines(rows: pd.DataFrame, groups: Sequence[object], scheme: str, revision: str) -> Figure:
    """One line per group of rows (at, value, count, group, is_final, layer).

    `groups` are all there could be, so that a group keeps its colour. Hollow points are provisional, diamonds served
    by the batch layer.
    """
    look = layout(scheme)
    across = look["xaxis"] | TIMES
    axes = {"xaxis": across, "yaxis": look["yaxis"] | {"rangemode": "normal"}}
    shape = {"uirevision": revision, "showlegend": True}
    return {"data": _lines(rows, groups, scheme), "layout": look | axes | shape}


def _lines(rows: pd.DataFrame, groups: Sequence[object], scheme: str) -> list[Figure]:
    palette = PALETTE[scheme]
    data: list[Figure] = []
    for group, part in rows.groupby("group", sort=True):
        colour = palette[groups.index(group) % len(palette)]
        same = sum(trace["line"]["color"] == colour for trace in data)
        data.append(_line(str(group), part, colour, DASHES[same % len(DASHES)], INK[scheme][3]))
    return data


def _line(group: str, part: pd.DataFrame, colour: str, dash: str, hollow: str) -> Figure:
    marker = {
        "size": 7,
        "color": [colour if final else hollow for final in part["is_final"].tolist()],
        "line": {"color": colour, "width": 2},
        "symbol": ["diamond" if layer == "batch" else "circle" for layer in part["layer"].tolist()],
    }
    return {
        "type": "scatter",
        "name": f"{escaped(group)}s",
        "x": iso(part["at"]),
        "y": part["value"].tolist(),
        "customdata": [list(both) for both in zip(part["count"].tolist(), part["layer"].tolist(), strict=True)],
        "mode": "lines+markers",
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": marker,
        "hovertemplate": "%{x|%H:%M} UTC: $%{y:,.0f}<br>%{customdata[0]:,} in it, served by %{customdata[1]}",
    }


def iso(moments: "pd.Series[Any]") -> list[str]:
    """Times in UTC as 2026-05-01T12:00:00+00:00, to the second."""
    seconds = np.datetime_as_string(moments.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), unit="s")
    return [f"{moment}+00:00" for moment in seconds.tolist()]


def multiples(rows: pd.DataFrame, groups: Sequence[object], scheme: str, revision: str) -> Figure:
    """One small chart per group of rows as `lines` takes them, all with the same axes, so that they compare."""
    data = _lines(rows, groups, scheme)
    for place, trace in enumerate(data):
        axis = "" if place == 0 else str(place + 1)
        trace.update({"xaxis": f"x{axis}", "yaxis": f"y{axis}", "marker": trace["marker"] | {"size": 4}})
    return {"data": data, "layout": _small(tuple(trace["name"] for trace in data), scheme) | {"uirevision": revision}}


@functools.lru_cache(maxsize=64)
def _small(titles: tuple[str, ...], scheme: str) -> Figure:
    """The layout of small charts with these titles; not to be changed in place."""
    across = 2 if len(titles) <= 4 else 3
    down = max(1, -(-len(titles) // across))
    gaps = {"vertical_spacing": 0.36 / (down + 1), "horizontal_spacing": 0.04}
    drawn = make_subplots(down, across, shared_xaxes="all", shared_yaxes="all", subplot_titles=titles, **gaps)
    look = layout(scheme)
    drawn.update_annotations(font={"size": 12})
    drawn.update_xaxes(look["xaxis"] | _times("UTC") | {"nticks": 3})
    drawn.update_yaxes(look["yaxis"] | {"rangemode": "normal", "nticks": 4})
    for place in range(max(0, len(titles) - across), len(titles)):  # the lowest of each column has the times
        drawn.update_xaxes(showticklabels=True, row=place // across + 1, col=place % across + 1)
    kept = ("template", "paper_bgcolor", "plot_bgcolor", "font", "margin", "hoverlabel")
    plain: Figure = json.loads(drawn.to_json())["layout"]
    return plain | {name: look[name] for name in kept} | {"showlegend": False}
