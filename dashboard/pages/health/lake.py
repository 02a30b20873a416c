"""What the Health page shows of dead letters, Delta tables and processes, as pure functions of a HealthView."""

from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from dashboard.live.health import HealthView
from dashboard.pages.health.cells import error_row, size, state_word
from dashboard.ui import formats, tiles
from dashboard.ui.tiles import TileState
from lakehouse.ops.status import ProcessView
from lakehouse.tables.reader import Reading

NO_DEAD_LETTERS = "No dead letters: every event so far was valid."
NO_TABLES = "The lake has no tables yet. Start everything: `lake up`"
NO_PROCESSES = "Nothing runs under `lake up`; parts started by hand are not listed here."
_TONES = {"running": "ok", "ready": "ok", "finished": "off", "stopped": "error", "failed": "error"}


def dead_letters_state(view: HealthView) -> TileState:
    """Empty is good news; a table that cannot be read is an error, or stale when it once could."""
    readings = list(view.dead_letters.values())
    broken = next((reading for reading in readings if reading.error), None)
    if broken:
        return tiles.tile_state(broken, broken.committed_at, NO_DEAD_LETTERS)
    if not any(reading.total for reading in readings):
        return TileState("empty", formats.with_code(NO_DEAD_LETTERS), None)
    return TileState("ready", [], tiles.moment(view.as_of()))


def dead_letters_table(view: HealthView) -> Component:
    """A row per domain and reason, most frequent first, with the newest one's place and value."""
    columns = {"Domain": "text", "Reason": "text", "Count": "number", "Newest": "number", "At": "text", "Value": "text"}
    rows = [
        _reason_row(domain, row)
        for domain, reading in view.dead_letters.items()
        if "count" in reading.frame
        for row in tiles.records(reading.frame)
    ]
    return tiles.table("health-dead-letters-table", columns, rows, "Dead letters by reason")


def _reason_row(domain: str, row: Any) -> Component:
    placed = not _missing(row.offset)
    where = f"{row.topic} {row.partition:.0f} @ {row.offset:,.0f}" if placed else formats.NOTHING
    recorded_at = None if _missing(row.recorded_at) else row.recorded_at
    sample = "null" if _missing(row.sample) else str(row.sample)
    reason = "no reason" if _missing(row.reason) else str(row.reason)
    cells = [
        tiles.cell("domain", domain, number=False),
        html.Td(reason, className="wrapped", **tiles.attributes(field="reason")),
        tiles.cell("count", formats.count(row.count), row.count),
        tiles.cell("newest", tiles.age(recorded_at), recorded_at and recorded_at.isoformat()),
        tiles.cell("at", where, number=False),
        html.Td(html.Pre(sample), className="sample", tabIndex=0, **tiles.attributes(field="sample")),
    ]
    return html.Tr(cells, **tiles.attributes(reason=reason))


def _missing(value: Any) -> bool:
    return bool(pd.isna(value))


def tables_state(view: HealthView) -> TileState:
    """Empty while no table has been made; an error when none that was made can be read."""
    readings = [reading for _, _, reading in view.tables]
    made = [reading for reading in readings if reading.version >= 0]
    broken = next((reading for reading in readings if reading.error), None)
    if broken and not made:
        return TileState("error", formats.with_code(broken.error), None)
    if not made:
        return TileState("empty", formats.with_code(NO_TABLES), None)
    return TileState("ready", formats.with_code(broken.error) if broken else [], tiles.moment(view.as_of()))


def tables_table(view: HealthView) -> Component:
    """A row per Delta table of the domains."""
    columns = {"Table": "text", "Version": "number", "Files": "number", "Size": "number", "Rows": "number"}
    columns |= {"Last commit": "number", "Operation": "text"}
    rows = [_table_row(domain, name, reading) for domain, name, reading in view.tables]
    return tiles.table("health-tables-table", columns, rows, "Delta tables")


def _table_row(domain: str, name: str, reading: Reading) -> Component:
    shape = next(tiles.records(reading.frame), None) if "files" in reading.frame else None
    made, files, bytes_kept = reading.version >= 0, getattr(shape, "files", 0), getattr(shape, "bytes", 0)
    if reading.error:
        operation: Any = state_word("cannot be read", "error")
    else:
        operation = getattr(shape, "operation", "") or ("no rows yet" if made else "not made yet")
    cells = [
        html.Th([html.Span(f"{domain} ", className="second"), name], scope="row", className="name"),
        *[
            tiles.cell(field, formats.count(value) if made else formats.NOTHING, value if made else None)
            for field, value in (("version", reading.version), ("files", files))
        ],
        tiles.cell("bytes", size(bytes_kept) if made else formats.NOTHING, bytes_kept if made else None),
        tiles.cell("rows", formats.count(reading.total) if made else formats.NOTHING, reading.total if made else None),
        tiles.cell(
            "committed_at", tiles.age(reading.committed_at), reading.committed_at and reading.committed_at.isoformat()
        ),
        tiles.cell("operation", operation, number=False),
    ]
    return html.Tr(cells, **tiles.attributes(table=f"{domain}.{name}"))


def processes_state(view: HealthView) -> TileState:
    """Empty when nothing runs under the supervisor."""
    if not view.processes:
        return TileState("empty", formats.with_code(NO_PROCESSES), None)
    return TileState("ready", [], tiles.moment(view.as_of()))


def processes_body(view: HealthView) -> list[Component]:
    """A row per process, one under it for its last error, and the links to the Spark UIs."""
    columns = {"Process": "text", "State": "text", "Pid": "number", "Memory": "number", "Restarts": "number"}
    columns |= {"Up for": "number"}
    rows = [row for process in view.processes for row in _process_rows(process, len(columns))]
    links = [
        html.A(f"Spark UI of {domain}", href=url, target="_blank", rel="noopener noreferrer")
        for domain, url in view.spark_uis.items()
    ]
    table = tiles.table("health-processes-table", columns, rows, "Processes of lake up")
    return [table, html.P(links, className="links")] if links else [table]


def _process_rows(process: ProcessView, width: int) -> list[Component]:
    up = process.state in ("running", "starting")
    tone = _TONES.get(process.state, "warn")
    memory = process.memory_mb if up else None
    since = html.Span(**tiles.attributes(age=process.started_at)) if up and process.started_at else formats.NOTHING
    cells = [
        html.Th(process.name, scope="row", className="name"),
        tiles.cell("state", state_word(process.state, tone), process.state, number=False),
        tiles.cell("pid", str(process.pid) if up and process.pid else formats.NOTHING, process.pid if up else None),
        tiles.cell("memory_mb", f"{memory:,} MB" if memory else formats.NOTHING, memory),
        tiles.cell("restarts", formats.count(process.restarts), process.restarts),
        tiles.cell("up_for", since, process.started_at if up else None),
    ]
    row = html.Tr(cells, **tiles.attributes(process=process.name, state=process.state))
    if not process.last_error:
        return [row]
    return [row, error_row(process.name, "Last error", process.last_error, width, tone)]
