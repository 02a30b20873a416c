"""What the Models page shows of a model, as pure functions of its versions and its declared metrics."""

from datetime import datetime
from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from dashboard.live.models import ModelView
from dashboard.pages import live_error_view
from dashboard.pages.live_error_view import badge, value_text
from dashboard.ui import formats, tiles
from dashboard.ui.tiles import TileState
from lakehouse.contract.models import Better, Metric, Model
from lakehouse.models.manifests import Manifest

SHOWN_VERSIONS = 60
DRAWN = 2  # metrics that have a tile and a line: the headline and the next one


def about(model: Model) -> str:
    """What the page is about."""
    return f"{model.title}: every version that was trained, and what became of it."


def trend_title(model: Model) -> str:
    """The headline metric over the versions, by its direction."""
    return "Error by version" if model.better is Better.LOWER else "Score by version"


def trend_note(model: Model) -> str:
    """How to read the chart."""
    live = f"; a diamond is the error on real {model.rows} since" if model.live else ""
    return f"On {model.entities} that the version never saw. Hollow points were refused{live}."


def since(model: Model) -> str:
    """What live values are of, as a plural and what happened; empty for a model without any."""
    return f"{model.live.unit}s {model.live.event} since" if model.live else ""


def gate_note(model: Model) -> str:
    """How the gate decides."""
    return (
        f"A new version goes live unless it is clearly worse than the live one on the same {model.entities}. "
        "`lake models list | show | compare | rollback` does the same on the command line."
    )


def models_state(found: ModelView) -> TileState:
    """The state of a tile that shows versions."""
    if found.error:
        state = "stale" if found.versions else "error"
        return TileState(state, formats.with_code(found.error), _trained_at(found) if found.versions else None)
    if not found.versions:
        return TileState("empty", formats.with_code(found.model.missing), None)
    return TileState("ready", [], _trained_at(found))


def _trained_at(found: ModelView) -> str | None:
    """When training was last tried, successfully or not."""
    return max((version.trained_at for version in found.versions if version.trained_at), default=None)


def kpis(found: ModelView) -> list[Component]:
    """The live version in numbers: its headline first, on the hold-out and on what happened since."""
    first, *others = found.model.shown[:DRAWN]
    return [
        tiles.kpi("models-kpi-live", "Live version", found.live or formats.NOTHING, _best_note(found)),
        _metric_kpi(found, first),
        *live_error_view.kpi(found),
        *(_metric_kpi(found, metric) for metric in others),
        *_data_kpis(found),
    ]


def _metric_kpi(found: ModelView, metric: Metric) -> Component:
    value = found.live_manifest.metrics.get(metric.name) if found.live_manifest else None
    shown: Any = formats.NOTHING
    if value is not None:
        shown = html.Span(value_text(metric, value), **tiles.attributes(value=str(value)))
    return tiles.kpi(f"models-kpi-{metric.name}", f"Hold-out {metric.title}", shown, metric.note)


def _data_kpis(found: ModelView) -> list[Component]:
    manifest, rows = found.live_manifest, found.model.rows
    trained = manifest.trained_at if manifest else ""
    age = tiles.age(datetime.fromisoformat(trained) if trained else None)
    return [
        tiles.kpi(f"models-kpi-{rows}", "Trained on", formats.count(_rows(manifest)), f"distinct {rows}"),
        tiles.kpi("models-kpi-age", "Trained", age, "ago"),
    ]


def _rows(manifest: Manifest | None) -> int | None:
    return manifest.rows.get("distinct", manifest.rows.get("training")) if manifest else None


def _best_note(found: ModelView) -> str:
    if found.live is None:
        return "none is live"
    return "the best so far" if found.best == found.live else f"the best so far is {found.best or 'unknown'}"


def version_frame(found: ModelView) -> pd.DataFrame:
    """The newest versions as `model_charts.versions` wants them, oldest first: version, outcome, metrics, live."""
    names = [metric.name for metric in found.model.shown[:DRAWN]]
    live = {row.version: row.error for row in (found.live_error.versions if found.live_error else ())}
    rows = [
        (version.version, str(version.outcome), *map(version.metrics.get, names), live.get(version.version))
        for version in found.versions[-SHOWN_VERSIONS:]
        if version.metrics.get(found.model.headline) is not None
    ]
    return pd.DataFrame(rows, columns=["version", "outcome", *names, "live"]).astype(object)


def trend_table(model: Model, rows: pd.DataFrame) -> Component:
    """What the chart draws, as a table."""
    drawn = model.shown[:DRAWN]
    lines = []
    for row in rows.to_dict("records"):
        texts = [tiles.cell(name, row[name], number=False) for name in ("version", "outcome")]
        numbers = [_number(metric.name, metric, _known(row[metric.name])) for metric in drawn]
        live = [_number(f"live_{model.headline}", model.metric, _known(row["live"]))] if model.live else []
        lines.append(html.Tr([*texts, *numbers, *live]))
    titles = [*(metric.title for metric in drawn), *([f"Live {model.metric.title}"] if model.live else [])]
    heads = {"Version": "text", "Outcome": "text", **dict.fromkeys(titles, "number")}
    return tiles.table("models-trend-table", heads, lines, trend_title(model))


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _number(name: str, metric: Metric, value: float | None) -> Component:
    return tiles.cell(name, value_text(metric, value), value)


def version_table(found: ModelView) -> Component:
    """Every version, newest first: how good it is, what it rests on, and why it was promoted or refused."""
    rows, of = [_version_row(version, found) for version in reversed(found.versions)], found.model.rows
    numbers = dict.fromkeys([*(metric.title for metric in found.shown), of.capitalize()], "number")
    texts = dict.fromkeys(("Trained (UTC)", "Cut-off", "Reason"), "text")
    heads = {"Version": "text", "Outcome": "text", **numbers, **texts}
    return tiles.table("models-versions-table", heads, rows, "Versions of the model")


def _version_row(version: Manifest, found: ModelView) -> Component:
    name, is_live, is_best = version.version, version.version == found.live, version.version == found.best
    marks = [badge(word) for word, on in (("live", is_live), ("best", is_best)) if on]
    sizes = _rows(version)
    cells = [
        tiles.cell("version", [html.Strong(name), *marks], name, number=False),
        tiles.cell("outcome", version.outcome, number=False),
        *(_number(metric.name, metric, version.metrics.get(metric.name)) for metric in found.shown),
        tiles.cell(found.model.rows, formats.count(sizes), sizes),
        tiles.cell("trained_at", _minute(version.trained_at), version.trained_at or None, number=False),
        tiles.cell("cut_off", (version.cut_off or formats.NOTHING)[:10], version.cut_off, number=False),
        tiles.cell("reason", html.Div(version.reason or formats.NOTHING, className="wrapped"), number=False),
    ]
    flags = {"live": str(is_live).lower(), "best": str(is_best).lower()}
    return html.Tr(cells, **tiles.attributes(version=name, outcome=version.outcome, **flags))


def _minute(value: str | None) -> str:
    return formats.minute(datetime.fromisoformat(value)) if value else formats.NOTHING


def switch_table(found: ModelView) -> Component:
    """When which version went live, newest first, by whom and why."""
    rows = [
        html.Tr(
            [
                tiles.cell("at", _minute(switch.at.isoformat()), switch.at.isoformat(), number=False),
                tiles.cell("version", switch.version, number=False),
                tiles.cell("by", switch.by, number=False),
                tiles.cell("reason", html.Div(switch.reason, className="wrapped"), number=False),
            ],
            **tiles.attributes(switch=switch.version),
        )
        for switch in reversed(found.switches)
    ]
    heads = {"Time (UTC)": "text", "Version": "text", "By": "text", "Reason": "text"}
    return tiles.table("models-switches-table", heads, rows, "Which version went live when")
