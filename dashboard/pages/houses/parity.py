"""Speed and batch layer compared: what late and resent sales did to the windows, as pure functions."""

from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.ui import formats, layers_tile, tiles
from lakehouse.tables.reader import Reading

ROWS = 50


def body(view: DomainView) -> list[Component]:
    """How far the layers agree, how many sales were late or resent, and the windows where that made a difference."""
    rows = view.parity.frame.sort_values(["window_start", "decade"], ascending=False).head(ROWS)
    parts: list[Component] = [
        html.P(layers_tile.agreement(view.parity), id="houses-parity-summary", className="summary")
    ]
    if rows.empty:
        return parts
    return [*parts, html.Div(effects(view.parity), className="kpis inner", id="houses-parity-kpis"), table(rows)]


def effects(parity: Reading) -> list[Component]:
    """Late and resent sales in the windows that differ, and how far these were off until the recomputation."""
    rows = parity.frame
    late, resent = int(rows["late"].sum()), int(rows["resent"].sum())
    off = rows["difference"].abs()
    worst = None if off.isna().all() else float(off.max())
    missing = int(rows["speed_sales"].isna().sum())
    return [
        tiles.kpi(
            "parity-kpi-late", "Late sales", tiles.exact(formats.count(late), late), "missing in the speed layer"
        ),
        tiles.kpi(
            "parity-kpi-resent", "Resent sales", tiles.exact(formats.count(resent), resent), "counted twice in it"
        ),
        tiles.kpi(
            "parity-kpi-worst", "Largest difference", tiles.exact(formats.money(worst), worst), "of an average price"
        ),
        tiles.kpi(
            "parity-kpi-missing", "Windows without speed row", tiles.exact(formats.count(missing), missing), "all late"
        ),
    ]


def table(rows: pd.DataFrame) -> Component:
    """Speed row, batch row and their difference, a window and decade a line, with the sales that caused it."""
    numbers = ("Speed average", "Speed sales", "Batch average", "Batch sales", "Difference", "Late", "Resent")
    heads = {"Window (UTC)": "text", "Decade": "text", **dict.fromkeys(numbers, "number"), "Cause": "text"}
    lines = [_row(row) for row in tiles.records(rows)]
    return tiles.table("houses-parity-table", heads, lines, "Windows where the layers differ, and why")


def _row(row: Any) -> Component:
    cells = [
        tiles.cell("window_start", formats.clock(row.window_start), row.window_start.isoformat(), number=False),
        tiles.cell("decade", f"{row.decade}s", row.decade, number=False),
        *_side("speed", row.speed_avg_price, row.speed_sales),
        *_side("batch", row.batch_avg_price, row.batch_sales),
        tiles.cell("difference", *_money(row.difference)),
        tiles.cell("late", formats.count(row.late), int(row.late)),
        tiles.cell("resent", formats.count(row.resent), int(row.resent)),
        tiles.cell("cause", row.cause or formats.NOTHING, number=False),
    ]
    marks = tiles.attributes(decade=str(row.decade), window=row.window_start.isoformat(), cause=row.cause or None)
    return html.Tr(cells, **marks)


def _side(layer: str, average: float, sales: float) -> list[Component]:
    if pd.isna(sales):
        return [tiles.cell(layer, formats.NOTHING), tiles.cell(f"{layer}_sales", "no row")]
    return [tiles.cell(layer, *_money(average)), tiles.cell(f"{layer}_sales", formats.count(sales), int(sales))]


def _money(value: float) -> tuple[str, float | None]:
    return (formats.NOTHING, None) if pd.isna(value) else (formats.money(value), float(value))
