"""What the Health page shows of the last audit of each domain, as pure functions of a HealthView."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.live.health import HealthView
from dashboard.pages.health.cells import error_row, state_word
from dashboard.ui import formats, tiles
from dashboard.ui.tiles import TileState
from lakehouse.audit.results import off

NO_AUDIT = "Nothing has been audited yet. Audit now: `lake audit`"
OLD = timedelta(hours=26)  # a night was missed


def audit_state(view: HealthView) -> TileState:
    """Stale when an audit is older than a day and two hours."""
    ages = [view.taken_at - datetime.fromisoformat(result["at"]) for result in view.audits.values()]
    if not ages:
        return TileState("empty", formats.with_code(NO_AUDIT), None)
    old = max(ages) > OLD
    notice = f"The last audit is {max(ages) // timedelta(hours=1)} hours old. Audit now: `lake audit`" if old else ""
    return TileState("stale" if old else "ready", formats.with_code(notice), tiles.moment(view.as_of()))


def audit_table(view: HealthView) -> Component:
    """A row per domain, and one under it for each thing that is off."""
    columns = {"Domain": "text", "Result": "text", "Audited": "number", "Records": "number", "History": "number"}
    columns |= {"Dead letters": "number", "Not yet read": "number", "Took": "number"}
    rows = [row for name, result in view.audits.items() for row in _rows(name, result, len(columns))]
    return tiles.table("health-audit-table", columns, rows, "Last audits")


def _rows(name: str, result: Mapping[str, Any], width: int) -> list[Component]:
    parts = result["partitions"]
    sums = {key: sum(part[key] for part in parts) for key in ("records", "history", "dead_letters", "waiting")}
    word, tone = ("clean", "ok") if result["clean"] else ("off", "error")
    cells = [
        html.Th(name, scope="row", className="name"),
        tiles.cell("result", state_word(word, tone), word, number=False),
        tiles.cell("at", tiles.age(datetime.fromisoformat(result["at"])), result["at"]),
        *[tiles.cell(key, formats.count(count), count) for key, count in sums.items()],
        tiles.cell("seconds", f"{result['seconds']:,.1f} s", result["seconds"]),
    ]
    row = html.Tr(cells, **tiles.attributes(audit=name))
    lines = [] if result["clean"] else off(result)
    return [row, *(error_row(name, "Audit", line.removeprefix("OFF: "), width, tone) for line in lines)]
