"""What the models page shows of the versions and of houses sold since they were priced, as pure functions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.pages.houses import price_view, source
from dashboard.pages.houses.pricing import NO_MODEL, ModelsView
from dashboard.ui import formats, tiles
from dashboard.ui.tiles import TileState
from jobs.houses.price_model.live_error import LiveError, Sold
from lakehouse.models.manifests import Manifest

NO_LIVE_ERROR = (
    "No house that was priced while it was for sale has been sold yet. "
    "Sell some: `./spark-submit.sh jobs/houses/produce.py --from for-sale`"
)
NONE_FOR_SALE = "No house is for sale, so no prediction can be compared with a later sale."
SHOWN_VERSIONS = 60
VERSION_COLUMNS = ["version", "outcome", "mape", "r2", "live_mape"]


def models(view: DomainView) -> ModelsView:
    """The versions in the snapshot."""
    return view.value(source.MODELS) or ModelsView(error="The models cannot be read.")


def live_error(view: DomainView) -> LiveError | None:
    """The live errors in the snapshot; None when they cannot be read."""
    return view.value(source.LIVE_ERROR)


def models_state(found: ModelsView) -> TileState:
    """The state of a tile that shows versions."""
    if found.error:
        state = "stale" if found.versions else "error"
        return TileState(state, formats.with_code(found.error), _trained_at(found) if found.versions else None)
    if not found.versions:
        return TileState("empty", formats.with_code(NO_MODEL), None)
    return TileState("ready", [], _trained_at(found))


def _trained_at(found: ModelsView) -> str | None:
    """When training was last tried, successfully or not."""
    return max((version.trained_at for version in found.versions if version.trained_at), default=None)


def live_error_state(found: ModelsView, errors: LiveError | None) -> TileState:
    """The state of a tile that shows live errors."""
    if errors is None or errors.error:
        kept = errors is not None and bool(errors.versions)
        sentence = errors.error if errors else "The live error cannot be read."
        return TileState("stale" if kept else "error", formats.with_code(sentence), None)
    if not found.versions:
        return TileState("empty", formats.with_code(found.error or NO_MODEL), None)
    if not errors.versions:
        offered = found.versions[-1].details.get("houses")
        none = offered is not None and not offered["for_sale"]
        return TileState("empty", formats.with_code(NONE_FOR_SALE if none else NO_LIVE_ERROR), None)
    return TileState("ready", [], "live")


def kpis(found: ModelsView, errors: LiveError | None) -> list[Component]:
    """The live version in numbers."""
    live = _live(found)
    sold = next((row for row in (errors.versions if errors else ()) if row.version == found.live), None)
    sales, mape = (sold.sales, sold.mape) if sold else (0, None)
    rows = live.rows if live else {}
    trained = live.trained_at if live else ""
    return [
        tiles.kpi("models-kpi-live", "Live version", found.live or formats.NOTHING, _best_note(found)),
        tiles.kpi("models-kpi-mape", "Hold-out MAPE", *_metric(live, "mape", formats.percent, "on houses never seen")),
        tiles.kpi(
            "models-kpi-live-mape", "Live MAPE", formats.percent(mape), f"{formats.plural(sales, 'house')} sold since"
        ),
        tiles.kpi("models-kpi-r2", "Hold-out R²", *_metric(live, "r2", "{:.3f}".format, "1 would be perfect")),
        tiles.kpi("models-kpi-sales", "Trained on", formats.count(rows.get("distinct")), "distinct sales"),
        tiles.kpi("models-kpi-age", "Trained", tiles.age(datetime.fromisoformat(trained) if trained else None), "ago"),
    ]


def _live(found: ModelsView) -> Manifest | None:
    return next((version for version in found.versions if version.version == found.live), None)


def _best_note(found: ModelsView) -> str:
    if found.live is None:
        return "none is live"
    return "the best so far" if found.best == found.live else f"the best so far is {found.best or 'unknown'}"


def _metric(version: Manifest | None, name: str, form: Any, note: str) -> tuple[Any, str]:
    value = version.metrics.get(name) if version else None
    if value is None:
        return formats.NOTHING, note
    return html.Span(form(value), **tiles.attributes(value=str(value))), note


def version_frame(found: ModelsView, errors: LiveError | None) -> pd.DataFrame:
    """The newest versions as `charts_models.versions` wants them, oldest first."""
    live = {row.version: row.mape for row in (errors.versions if errors else ())}
    rows = [
        {
            "version": version.version,
            "outcome": version.outcome,
            "mape": version.metrics.get("mape"),
            "r2": version.metrics.get("r2"),
            "live_mape": live.get(version.version),
        }
        for version in found.versions[-SHOWN_VERSIONS:]
        if version.metrics.get("mape") is not None
    ]
    return pd.DataFrame(rows, columns=VERSION_COLUMNS).astype(object)


def trend_table(rows: pd.DataFrame) -> Component:
    """What the chart of errors draws, as a table."""
    lines = [
        html.Tr(
            [
                tiles.cell("version", row.version, number=False),
                tiles.cell("outcome", row.outcome, number=False),
                tiles.cell("mape", formats.percent(row.mape), row.mape),
                tiles.cell("r2", _three(row.r2), row.r2),
                tiles.cell("live_mape", formats.percent(row.live_mape), row.live_mape),
            ]
        )
        for row in tiles.records(rows)
    ]
    numbers = dict.fromkeys(("MAPE", "R²", "Live MAPE"), "number")
    heads = {"Version": "text", "Outcome": "text", **numbers}
    return tiles.table("models-trend-table", heads, lines, "Error by version")


def version_table(found: ModelsView) -> Component:
    """Every version, newest first: how good it is, what it rests on, and why it was promoted or refused."""
    rows = [_version_row(version, found) for version in reversed(found.versions)]
    numbers = dict.fromkeys(("MAPE", "R²", "Coverage", "Sales"), "number")
    heads = {
        "Version": "text",
        "Outcome": "text",
        **numbers,
        "Trained (UTC)": "text",
        "Cut-off": "text",
        "Reason": "text",
    }
    return tiles.table("models-versions-table", heads, rows, "Versions of the model")


def _version_row(version: Manifest, found: ModelsView) -> Component:
    name, metrics = version.version, version.metrics
    is_live, is_best = name == found.live, name == found.best
    marks = [_badge(word) for word, on in (("live", is_live), ("best", is_best)) if on]
    sales = version.rows.get("distinct")
    cells = [
        tiles.cell("version", [html.Strong(name), *marks], name, number=False),
        tiles.cell("outcome", version.outcome, number=False),
        tiles.cell("mape", formats.percent(metrics.get("mape")), metrics.get("mape")),
        tiles.cell("r2", _three(metrics.get("r2")), metrics.get("r2")),
        tiles.cell("coverage", formats.percent(metrics.get("coverage")), metrics.get("coverage")),
        tiles.cell("sales", formats.count(sales), sales),
        tiles.cell("trained_at", _minute(version.trained_at), version.trained_at or None, number=False),
        tiles.cell("cut_off", (version.cut_off or formats.NOTHING)[:10], version.cut_off, number=False),
        tiles.cell("reason", html.Div(version.reason or formats.NOTHING, className="wrapped"), number=False),
    ]
    flags = tiles.attributes(
        version=name, outcome=version.outcome, live=str(is_live).lower(), best=str(is_best).lower()
    )
    return html.Tr(cells, **flags)


def _three(value: float | None) -> str:
    return formats.NOTHING if value is None else f"{value:.3f}"


def _minute(value: str | None) -> str:
    return formats.minute(datetime.fromisoformat(value)) if value else formats.NOTHING


def switch_table(found: ModelsView) -> Component:
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


def live_error_table(errors: LiveError, live: str | None) -> Component:
    """The error on houses sold since, beside the error that was expected, per version."""
    rows = [
        html.Tr(
            [
                tiles.cell(
                    "version", [html.Strong(version), *([_badge("live")] if version == live else [])], number=False
                ),
                tiles.cell("sales", formats.count(sales), sales),
                tiles.cell("mape", formats.percent(mape), mape),
                tiles.cell("hold_out_mape", formats.percent(expected), expected),
            ],
            **tiles.attributes(version=version),
        )
        for version, sales, mape, expected in errors.versions
    ]
    heads = {"Version": "text", "Houses sold": "number", "Live MAPE": "number", "Hold-out MAPE": "number"}
    return tiles.table("models-live-error-table", heads, rows, "Live error per version")


def _badge(word: str) -> Component:
    return html.Span(word, className=f"badge badge-{word}")


def newest_table(newest: Sequence[Sold]) -> Component:
    """The newest houses sold that had been priced before."""
    rows = [
        html.Tr(
            [
                tiles.cell("id", price_view.house_link(sale.id), sale.id, number=False),
                tiles.cell("sold_at", formats.clock(sale.sold_at), sale.sold_at.isoformat(), number=False),
                tiles.cell("price", formats.money(sale.price), sale.price),
                tiles.cell("predicted", formats.money(sale.predicted), sale.predicted),
                tiles.cell("error", formats.signed_percent(sale.error), sale.error),
                tiles.cell("version", sale.version, number=False),
            ],
            **tiles.attributes(house=sale.id),
        )
        for sale in newest
    ]
    numbers = dict.fromkeys(("Sold for", "Predicted", "Error"), "number")
    heads = {"House": "text", "Sold (UTC)": "text", **numbers, "Version": "text"}
    return tiles.table("models-newest-table", heads, rows, "Houses sold after they were priced")
