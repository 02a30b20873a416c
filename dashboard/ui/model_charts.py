"""Figures of models and their answers: what makes up a price, and how versions compare."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.ui import charts, formats
from dashboard.ui.charts import escaped
from lakehouse.contract.models import Metric

SHOWN_PARTS = 10  # parts drawn one by one; the table names all of them


def waterfall(
    baseline: float, parts: Sequence[tuple[str, float]], price: float, scheme: str, revision: str
) -> go.Figure:
    """From the baseline over each part, in dollars, to the price; the smallest parts are drawn as one."""
    drawn = _drawn(parts)
    names = ["Baseline", *(name for name, _dollars in drawn), "Price"]
    dollars = [baseline, *(amount for _name, amount in drawn), price]
    labels = [formats.short_money(baseline), *map(formats.signed_short_money, (amount for _, amount in drawn))]
    labels.append(formats.short_money(price))
    palette = charts.PALETTE[scheme]
    figure = charts.blank(scheme, revision)
    figure.add_waterfall(
        orientation="h",
        measure=["absolute", *["relative"] * len(drawn), "total"],
        y=[escaped(name) for name in names],
        x=dollars,
        text=labels,
        textposition="outside",
        cliponaxis=False,
        increasing={"marker": {"color": palette[0]}},
        decreasing={"marker": {"color": palette[1]}},
        totals={"marker": {"color": charts.INK[scheme][1]}},
        connector={"line": {"color": charts.INK[scheme][1], "width": 1, "dash": "dot"}},
        customdata=[
            formats.money(baseline),
            *(formats.signed_money(amount) for _, amount in drawn),
            formats.money(price),
        ],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )
    ends = _running(baseline, drawn)
    spread = max(ends) - min(ends) or abs(price) or 1.0
    low = min(ends) - 0.6 * spread
    figure.update_xaxes(tickprefix="$", tickformat="~s", range=[max(0.0, low), max(ends) + 0.5 * spread], nticks=5)
    figure.update_yaxes(tickprefix="", tickformat="", autorange="reversed", showgrid=False, rangemode="normal")
    figure.update_layout(showlegend=False, margin={"t": 8}, waterfallgap=0.35)
    return figure


def _drawn(parts: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The parts by size, the largest first; what is over SHOWN_PARTS as one."""
    ordered = sorted(parts, key=lambda part: -abs(part[1]))
    if len(ordered) <= SHOWN_PARTS + 1:
        return ordered
    rest = ordered[SHOWN_PARTS:]
    return [*ordered[:SHOWN_PARTS], (f"{len(rest)} smaller ones", sum(dollars for _name, dollars in rest))]


def _running(baseline: float, parts: Sequence[tuple[str, float]]) -> list[float]:
    """The levels that the waterfall passes."""
    levels = [baseline]
    for _name, dollars in parts:
        levels.append(levels[-1] + dollars)
    return levels


def versions(rows: pd.DataFrame, metrics: Sequence[Metric], since: str, scheme: str, revision: str) -> go.Figure:
    """One or two metrics by version, one above the other; refused versions are hollow, diamonds are live values.

    `rows` has version, outcome, a column per metric, and live (of the first metric); `since` says what live values are
    of, and is empty where there are none.
    """
    figure = charts.blank(scheme, revision)
    blue, orange, green = charts.PALETTE[scheme][:3]
    names = [escaped(version) for version in rows["version"]]
    hollow = charts.INK[scheme][3]
    for metric, colour, axis in zip(metrics, (blue, green), ("y", "y2"), strict=False):
        figure.add_scatter(
            name=f"hold-out {metric.title}",
            x=names,
            y=rows[metric.name].tolist(),
            yaxis=axis,
            customdata=rows["outcome"].tolist(),
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={
                "size": 9,
                "line": {"color": colour, "width": 2},
                "color": [colour if outcome == "published" else hollow for outcome in rows["outcome"]],
            },
            hovertemplate=f"%{{x}}, %{{customdata}}: %{{y:{metric.form}}}",
        )
    if since:
        figure.add_scatter(
            name=f"live {metrics[0].title}",
            x=names,
            y=rows["live"].tolist(),
            mode="markers",
            marker={"size": 11, "symbol": "diamond", "color": orange},
            hovertemplate=f"%{{x}}: %{{y:{metrics[0].form}}} on {since}",
        )
    _lay_out(figure, rows, metrics)
    figure.update_xaxes(type="category", anchor="free", position=0)
    return figure


def _lay_out(figure: go.Figure, rows: pd.DataFrame, metrics: Sequence[Metric]) -> None:
    """An axis for each metric, the second below the first."""
    first, *others = metrics
    figure.update_layout(
        showlegend=True,
        yaxis=_axis(first, [*rows[first.name], *rows["live"]], [0.56, 1] if others else [0, 1]),
    )
    for metric in others:
        below = _axis(metric, rows[metric.name], [0, 0.44])
        figure.update_layout(yaxis2=figure.layout.yaxis.to_plotly_json() | below)


def _axis(metric: Metric, values: Iterable[float | None], domain: list[float]) -> dict[str, Any]:
    plain = {"tickprefix": "", "rangemode": "normal", "nticks": 5, "title": {"text": metric.title}}
    return plain | {"domain": domain, "range": _range(values), "tickformat": metric.form}


def _range(values: Iterable[float | None]) -> list[float]:
    """An axis around the values with some air, at least two hundredths high."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    air = max(0.25 * (max(known) - min(known)), 0.01) if known else 1.0
    return [min(known) - air, max(known) + air] if known else [0.0, 1.0]
