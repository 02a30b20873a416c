"""The versions of the house price model: how good each is, why it is live or not, and how it does on real sales."""

import functools
import json
from typing import Any

import pandas as pd
from dash import Input, Output, callback, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboard.live import snapshot
from dashboard.live.snapshot import DomainView
from dashboard.pages.houses import live_view, models_view
from dashboard.ui import charts, model_charts, tiles

NAME = "Models"
PATH = "/models"
ORDER = 12
ICON = "models"
DAY = 26 * 3600  # retrained nightly


def layout(**_query: str) -> Component:
    """The page before its first data."""
    intro = [html.H1("Models"), html.P("House prices: every version that was trained, and what became of it.")]
    return html.Div(
        [
            html.Div(intro, className="intro"),
            html.Div(tiles.loading_kpis(6), id="models-kpis", className="kpis"),
            html.Div(
                [_trend_tile(), _live_error_tile(), html.Div(_versions_tile(), className="all")], className="grid"
            ),
        ]
    )


def _trend_tile() -> Component:
    return tiles.tile(
        "models-trend",
        "Error by version",
        "On houses that the version never saw. Hollow points were refused; a diamond is the error on real sales since.",
        charts.graph("models-trend-lines"),
        html.Details([html.Summary("Show as table"), html.Div(id="models-trend-rows")]),
        stale_after=DAY,
    )


def _live_error_tile() -> Component:
    return tiles.tile(
        "models-live-error",
        "Live error",
        "Houses priced while for sale and sold since on the stream: the price that was predicted against the one paid.",
        html.Div(id="models-live-error-rows"),
        html.H3("Newest of them"),
        html.Div(id="models-newest-rows"),
    )


def _versions_tile() -> Component:
    return tiles.tile(
        "models-versions",
        "Versions",
        "A new version goes live unless it is clearly worse than the live one on the same houses. "
        "`lake models list | show | compare | rollback` does the same on the command line.",
        html.Div(id="models-versions-rows"),
        html.Details([html.Summary("Which version went live when"), html.Div(id="models-switches-rows")]),
        stale_after=DAY,
    )


def _view() -> DomainView:
    view = snapshot.view(live_view.SOURCE.domain.name)
    if view is None:
        raise PreventUpdate
    return view


@callback(Output("models-kpis", "children"), Input("live", "data"))
def update_kpis(_version: str | None) -> list[Component]:
    """The live version in numbers."""
    view = _view()
    return models_view.kpis(models_view.models(view), models_view.live_error(view))


@callback(
    charts.figure_of("models-trend-lines"),
    Output("models-trend-rows", "children"),
    *tiles.outputs("models-trend"),
    Input("live", "data"),
    Input("scheme", "data"),
)
def update_trend(_version: str | None, scheme: str | None) -> tuple[Any, ...]:
    """Metrics over the versions."""
    view = _view()
    found = models_view.models(view)
    rows = models_view.version_frame(found, models_view.live_error(view))
    figure = _drawn(tuple(rows.itertuples(index=False, name=None)), scheme) if scheme and len(rows) else no_update
    return figure, models_view.trend_table(rows), *models_view.models_state(found)


@functools.lru_cache(maxsize=4)
def _drawn(rows: tuple[tuple[Any, ...], ...], scheme: str) -> Any:
    """The figure of these versions, drawn once: they change once a night."""
    frame = pd.DataFrame(rows, columns=models_view.VERSION_COLUMNS).astype(object)
    return json.loads(model_charts.versions(frame, scheme, "models-trend").to_json())


@callback(
    Output("models-versions-rows", "children"),
    Output("models-switches-rows", "children"),
    *tiles.outputs("models-versions"),
    Input("live", "data"),
)
def update_versions(_version: str | None) -> tuple[Any, ...]:
    """The versions and the switches between them."""
    found = models_view.models(_view())
    return models_view.version_table(found), models_view.switch_table(found), *models_view.models_state(found)


@callback(
    Output("models-live-error-rows", "children"),
    Output("models-newest-rows", "children"),
    *tiles.outputs("models-live-error"),
    Input("live", "data"),
)
def update_live_error(_version: str | None) -> tuple[Any, ...]:
    """The error on houses sold since they were priced."""
    view = _view()
    found, errors = models_view.models(view), models_view.live_error(view)
    state = models_view.live_error_state(found, errors)
    if errors is None:
        return no_update, no_update, *state
    return models_view.live_error_table(errors, found.live), models_view.newest_table(errors.newest), *state
