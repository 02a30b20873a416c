"""`make bench ARGS=--scale`: curves instead of points, as Markdown tables and pictures for docs/scale.md."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench import curves, growth, plots

Row = Mapping[str, float]


@dataclass(frozen=True)
class Curve:
    """What is measured at some sizes; `y` are the columns that go into the picture."""

    name: str
    what: str
    sizes: Sequence[int]
    measure: Callable[[int], Row]
    y_title: str
    y: Sequence[str]


CURVES = (
    Curve(
        "reads",
        "history, times the real file",
        growth.TIMES,
        partial(growth.in_a_lake, growth.history),
        "milliseconds",
        (
            "house, unmaintained, ms",
            "feed, first, ms",
            "house, first, ms",
            "feed, 20 sales later, ms",
            "house, 20 sales later, ms",
        ),
    ),
    Curve(
        "windows",
        "windows kept",
        growth.WINDOWS,
        partial(growth.in_a_lake, growth.averages),
        "milliseconds",
        ("upsert, ms", "read of two days, ms"),
    ),
    Curve(
        "jobs",
        "history, times the real file",
        growth.TIMES,
        curves.jobs,
        "seconds, whole process",
        ("recompute, s", "recompute again, s", "train, s", "audit, s"),
    ),
    Curve(
        "partitions",
        "partitions of the topic",
        curves.PARTITIONS,
        curves.partitions,
        "sales/s",
        ("averages", "history"),
    ),
    Curve(
        "rates",
        "sales/s asked for",
        curves.RATES,
        curves.rate,
        "sales behind",
        ("lag half way", "lag at the end"),
    ),
)


def measured(console: Console, folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """Measure each curve, print its table when it is there, keep its picture in the folder; the figures."""
    figures: dict[str, Any] = {}
    for curve in CURVES:
        if only and curve.name not in only:
            continue
        found = {}
        for size in curve.sizes:
            began = time.monotonic()
            found[size] = curve.measure(size)
            console.print(f"{curve.name}, {size:,}: {time.monotonic() - began:.0f} s")
        console.print("\n".join(["", *table(curve.what, found), ""]))
        plots.keep({curve.name: _plot(curve, found)}, folder)
        figures[curve.name] = {str(size): dict(row) for size, row in found.items()}
    return figures


def _plot(curve: Curve, found: Mapping[int, Row]) -> Any:
    lines = {name: {size: row[name] for size, row in found.items()} for name in curve.y}
    return plots.curves(curve.what, curve.y_title, lines)


def table(what: str, found: Mapping[int, Row]) -> list[str]:
    """The rows as lines of Markdown."""
    names = list(next(iter(found.values())))
    lines = [f"| {what} | {' | '.join(names)} |", f"|{' --- |' * (len(names) + 1)}"]
    for size, row in found.items():
        cells = (f"{row[name]:,.{1 if row[name] < 100 else 0}f}" for name in names)
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
    return lines
