"""What the Models page shows of predictions that were compared with what happened since, as pure functions."""

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboard.live.models import ModelView
from dashboard.ui import formats, tiles
from dashboard.ui.tiles import TileState
from lakehouse.contract.models import LiveCheck, Metric
from lakehouse.models.live_error import Compared, LiveError, VersionError


def value_text(metric: Metric, value: float | None) -> str:
    """A metric's value in its format."""
    if value is None:
        return formats.NOTHING
    return formats.percent(value) if metric.is_share else f"{value:{metric.form}}"


def badge(word: str) -> Component:
    """A mark beside a version."""
    return html.Span(word, className=f"badge badge-{word}")


def kpi(found: ModelView) -> list[Component]:
    """The live version's error on what happened since; nothing for a model without such a comparison."""
    model, live = found.model, found.model.live
    if live is None:
        return []
    rows = found.live_error.versions if found.live_error else ()
    own = next((row for row in rows if row.version == found.live), None)
    note = f"{formats.plural(own.outcomes if own else 0, live.unit)} {live.event} since"
    value = value_text(model.metric, own.error if own else None)
    return [tiles.kpi(f"models-kpi-live-{model.headline}", f"Live {model.metric.title}", value, note)]


def state(found: ModelView, why_empty: str = "") -> TileState:
    """The state of a tile that shows live errors; `why_empty` is what the domain says when there are none."""
    live, errors = found.model.live, found.live_error
    if live is None:
        return TileState("empty", "The predictions of this model are not compared with what happens.", None)
    if errors is None or errors.error:
        kept = errors is not None and bool(errors.versions)
        sentence = errors.error if errors else "The live error cannot be read."
        return TileState("stale" if kept else "error", formats.with_code(sentence), None)
    if not found.versions:
        return TileState("empty", formats.with_code(found.error or found.model.missing), None)
    if not errors.versions:
        return TileState("empty", formats.with_code(why_empty or live.empty), None)
    return TileState("ready", [], "live")


def table(found: ModelView, errors: LiveError, live: LiveCheck) -> Component:
    """The error on what happened since, beside the one on the hold-out, per version."""
    title = found.model.metric.title
    rows = [_row(found, row) for row in errors.versions]
    counted = f"{live.unit.capitalize()}s {live.event}"
    numbers = dict.fromkeys([counted, f"Live {title}", f"Hold-out {title}"], "number")
    return tiles.table("models-live-error-table", {"Version": "text", **numbers}, rows, "Live error per version")


def _row(found: ModelView, row: VersionError) -> Component:
    metric, name = found.model.metric, found.model.headline
    marks = [badge("live")] if row.version == found.live else []
    cells = [
        tiles.cell("version", [html.Strong(row.version), *marks], number=False),
        tiles.cell(found.model.rows, formats.count(row.outcomes), row.outcomes),
        tiles.cell(name, value_text(metric, row.error), row.error),
        tiles.cell(f"hold_out_{name}", value_text(metric, row.hold_out), row.hold_out),
    ]
    return html.Tr(cells, **tiles.attributes(version=row.version))


def newest_table(newest: Sequence[Compared]) -> Component:
    """The newest predictions that were compared, for a domain that shows them in no words of its own."""
    rows = [
        html.Tr(
            [
                tiles.cell("id", one.id, number=False),
                tiles.cell("at", formats.clock(one.at), one.at.isoformat(), number=False),
                tiles.cell("actual", f"{one.actual:g}", one.actual),
                tiles.cell("predicted", f"{one.predicted:.3g}", one.predicted),
                tiles.cell("version", one.version, number=False),
            ]
        )
        for one in newest
    ]
    heads = {"Id": "text", "Time (UTC)": "text", "Happened": "number", "Predicted": "number", "Version": "text"}
    return tiles.table("models-newest-table", heads, rows, "Predictions and what happened")
