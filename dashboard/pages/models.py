"""The versions of a domain's models: how good each is, why it is live or not, and how it does since."""

from typing import Any

import flask
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html
from dash.development.base_component import Component

from dashboard.pages import discovery
from dashboard.server import redirects
from dashboard.ui import charts, formats, tiles
from dashboard.ui.section import Models

NAME = "Models"
PATH = "/models"
ORDER = 80
ICON = "core/icons/models"
DAY = 26 * 3600  # retrained nightly


def layout(domain: str = "", **_query: str) -> Component:
    """The page before its first data; `?domain=` says whose models, without it those of the first domain."""
    known = discovery.models()
    shown = domain if domain in known else next(iter(known), None)
    if shown is None:
        return html.Div([html.H1("Models"), html.P("No domain has models.")], className="intro")
    unknown = [f"domain={domain[:20]}"] if domain and domain != shown else []
    models = known[shown]
    grid = [_trend_tile(models), _live_error_tile(models), html.Div(_versions_tile(models), className="all")]
    return html.Div(
        [
            html.Div([html.H1("Models"), html.P(models.ABOUT)], className="intro"),
            html.P(formats.not_known(unknown), id="models-notice", className="notice", role="status"),
            *_choice(shown),
            dcc.Store(id="models-domain", data=shown),
            dcc.Store(id="models-address", data=None if unknown else address(shown)),
            html.Div(tiles.loading_kpis(6), id="models-kpis", className="kpis"),
            html.Div(grid, className="grid"),
        ]
    )


def add_routes(server: flask.Flask) -> None:
    """Lead the address without a domain to the first one that has models."""
    for domain in list(discovery.models())[:1]:
        redirects.add_default(server, PATH, "domain", domain)


def address(domain: str) -> str:
    """Where the domain's models are."""
    return f"{PATH}?domain={domain}"


def _choice(shown: str) -> list[Component]:
    """Links to the models of each domain, where several have some."""
    titles = {name: discovery.sections()[name].title for name in discovery.models()}
    links = [
        html.Strong(title) if name == shown else dcc.Link(title, href=address(name), className="button")
        for name, title in titles.items()
    ]
    return [html.Div(links, className="link-row page-links")] if len(links) > 1 else []


def _trend_tile(models: Models) -> Component:
    return tiles.tile(
        "models-trend",
        "Error by version",
        models.TREND,
        charts.graph("models-trend-lines"),
        html.Details([html.Summary("Show as table"), html.Div(id="models-trend-rows")]),
        stale_after=DAY,
    )


def _live_error_tile(models: Models) -> Component:
    return tiles.tile(
        "models-live-error",
        "Live error",
        models.LIVE_ERROR,
        html.Div(id="models-live-error-rows"),
        html.H3("Newest of them"),
        html.Div(id="models-newest-rows"),
    )


def _versions_tile(models: Models) -> Component:
    return tiles.tile(
        "models-versions",
        "Versions",
        f"{models.VERSIONS} `lake models list | show | compare | rollback` does the same on the command line.",
        html.Div(id="models-versions-rows"),
        html.Details([html.Summary("Which version went live when"), html.Div(id="models-switches-rows")]),
        stale_after=DAY,
    )


clientside_callback(
    ClientsideFunction("lake", "viewAddress"), Output("models-notice", "title"), Input("models-address", "data")
)
_OF = (Input("live", "data"), State("models-domain", "data"))


@callback(Output("models-kpis", "children"), *_OF)
def update_kpis(_version: str | None, domain: str) -> list[Component]:
    """The live version in numbers."""
    return discovery.models()[domain].kpis(tiles.view_of(domain))


@callback(
    charts.figure_of("models-trend-lines"),
    Output("models-trend-rows", "children"),
    *tiles.outputs("models-trend"),
    *_OF,
    Input("scheme", "data"),
)
def update_trend(_version: str | None, domain: str, scheme: str | None) -> tuple[Any, ...]:
    """Metrics over the versions."""
    return discovery.models()[domain].trend(tiles.view_of(domain), scheme)


@callback(
    Output("models-versions-rows", "children"),
    Output("models-switches-rows", "children"),
    *tiles.outputs("models-versions"),
    *_OF,
)
def update_versions(_version: str | None, domain: str) -> tuple[Any, ...]:
    """The versions and the switches between them."""
    return discovery.models()[domain].versions(tiles.view_of(domain))


@callback(
    Output("models-live-error-rows", "children"),
    Output("models-newest-rows", "children"),
    *tiles.outputs("models-live-error"),
    *_OF,
)
def update_live_error(_version: str | None, domain: str) -> tuple[Any, ...]:
    """The error on what happened since the predictions."""
    return discovery.models()[domain].live_error(tiles.view_of(domain))
