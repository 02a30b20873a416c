"""The versions of each model: how good each is, why it is live or not, and how it does since."""

import functools
import json
from typing import Any

import flask
import pandas as pd
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update
from dash.development.base_component import Component

from dashboard.live.models import ModelView
from dashboard.pages import discovery, live_error_view, models_view
from dashboard.server import redirects
from dashboard.ui import charts, formats, model_charts, tiles
from lakehouse.contract.models import Metric, Model

NAME = "Models"
PATH = "/models"
ORDER = 80
ICON = "core/icons/models"
DAY = 26 * 3600  # retrained nightly


def layout(domain: str = "", model: str = "", **_query: str) -> Component:
    """The page before its first data; without `?domain=` and `model=` it shows the first one."""
    known = discovery.models()
    of_domain = [each for each in known if each.domain == domain] or known
    shown = next((each for each in of_domain if each.name == model), next(iter(of_domain), None))
    if shown is None:
        return html.Div([html.H1("Models"), html.P("No domain has models.")], className="intro")
    asked = {"domain": (domain, shown.domain), "model": (model, shown.name)}
    unknown = [f"{name}={value[:20]}" for name, (value, got) in asked.items() if value not in ("", got)]
    grid = [_trend_tile(shown), *_live_error_tile(shown), html.Div(_versions_tile(shown), className="all")]
    return html.Div(
        [
            html.Div([html.H1("Models"), html.P(models_view.about(shown))], className="intro"),
            html.P(formats.not_known(unknown), id="models-notice", className="notice", role="status"),
            *_choice(shown),
            dcc.Store(id="models-domain", data=shown.domain),
            dcc.Store(id="models-model", data=shown.name),
            dcc.Store(id="models-address", data=None if unknown else address(shown)),
            html.Div(tiles.loading_kpis(6), id="models-kpis", className="kpis"),
            html.Div(grid, className="grid"),
        ]
    )


def add_routes(server: flask.Flask) -> None:
    """Lead the address without a domain to the first one that has models."""
    for model in discovery.models()[:1]:
        redirects.add_default(server, PATH, "domain", model.domain)


def address(model: Model) -> str:
    """Where the model's versions are."""
    first = next(each for each in discovery.models() if each.domain == model.domain)
    return f"{PATH}?domain={model.domain}" + (f"&model={model.name}" if model != first else "")


def _choice(shown: Model) -> list[Component]:
    """Links to each model, where there are several."""
    known = discovery.models()
    links = [
        html.Strong(model.title) if model == shown else dcc.Link(model.title, href=address(model), className="button")
        for model in known
    ]
    return [html.Div(links, className="link-row page-links")] if len(links) > 1 else []


def _trend_tile(model: Model) -> Component:
    return tiles.tile(
        "models-trend",
        models_view.trend_title(model),
        models_view.trend_note(model),
        charts.graph("models-trend-lines"),
        html.Details([html.Summary("Show as table"), html.Div(id="models-trend-rows")]),
        stale_after=DAY,
    )


def _live_error_tile(model: Model) -> list[Component]:
    """The tile; hidden for a model whose predictions are not compared, since the callback needs its elements."""
    about = model.live.about if model.live else ""
    rows = [html.Div(id="models-live-error-rows"), html.H3("Newest of them"), html.Div(id="models-newest-rows")]
    tile = tiles.tile("models-live-error", "Live error", about, *rows)
    return [tile] if model.live else [html.Div(tile, hidden=True)]


def _versions_tile(model: Model) -> Component:
    return tiles.tile(
        "models-versions",
        "Versions",
        models_view.gate_note(model),
        html.Div(id="models-versions-rows"),
        html.Details([html.Summary("Which version went live when"), html.Div(id="models-switches-rows")]),
        stale_after=DAY,
    )


clientside_callback(
    ClientsideFunction("lake", "viewAddress"), Output("models-notice", "title"), Input("models-address", "data")
)
_OF = (Input("live", "data"), State("models-domain", "data"), State("models-model", "data"))


def _view(domain: str, model: str) -> ModelView:
    """The model in the snapshot in force; stops the callback while there is none."""
    return tiles.view_of(domain).models[model]


@callback(Output("models-kpis", "children"), *_OF)
def update_kpis(_version: str | None, domain: str, model: str) -> list[Component]:
    """The live version in numbers."""
    return models_view.kpis(_view(domain, model))


@callback(
    charts.figure_of("models-trend-lines"),
    Output("models-trend-rows", "children"),
    *tiles.outputs("models-trend"),
    *_OF,
    Input("scheme", "data"),
)
def update_trend(_version: str | None, domain: str, model: str, scheme: str | None) -> tuple[Any, ...]:
    """Metrics over the versions: figure, table, state."""
    found = _view(domain, model)
    rows = models_view.version_frame(found)
    figure: Any = no_update
    if scheme and len(rows):
        drawn, since = found.model.shown[: models_view.DRAWN], models_view.since(found.model)
        figure = _drawn(drawn, since, tuple(rows.itertuples(index=False, name=None)), tuple(rows.columns), scheme)
    return figure, models_view.trend_table(found.model, rows), *models_view.models_state(found)


@functools.lru_cache(maxsize=8)
def _drawn(
    metrics: tuple[Metric, ...], since: str, rows: tuple[tuple[Any, ...], ...], columns: tuple[str, ...], scheme: str
) -> Any:
    """The figure of these versions, drawn once: they change once a night."""
    frame = pd.DataFrame(rows, columns=list(columns)).astype(object)
    return json.loads(model_charts.versions(frame, metrics, since, scheme, "models-trend").to_json())


@callback(
    Output("models-versions-rows", "children"),
    Output("models-switches-rows", "children"),
    *tiles.outputs("models-versions"),
    *_OF,
)
def update_versions(_version: str | None, domain: str, model: str) -> tuple[Any, ...]:
    """The versions, the switches between them, and the state of both."""
    found = _view(domain, model)
    return models_view.version_table(found), models_view.switch_table(found), *models_view.models_state(found)


@callback(
    Output("models-live-error-rows", "children"),
    Output("models-newest-rows", "children"),
    *tiles.outputs("models-live-error"),
    *_OF,
)
def update_live_error(_version: str | None, domain: str, model: str) -> tuple[Any, ...]:
    """The error per version on what happened since, the newest of it, and the state of both."""
    found = _view(domain, model)
    details = discovery.model_details(found.model)
    why = details.why_empty(found.versions[-1]) if details and found.versions else ""
    state = live_error_view.state(found, why)
    errors, live = found.live_error, found.model.live
    if errors is None or live is None:
        return no_update, no_update, *state
    newest = details.newest_table if details else live_error_view.newest_table
    return live_error_view.table(found, errors, live), newest(errors.newest), *state
