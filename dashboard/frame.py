"""The frame around every page: header with the status pill, navigation, the one poll."""

from collections.abc import Sequence
from types import ModuleType

import dash
import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, dcc, html
from dash.development.base_component import Component

from dashboard.tiles import attributes

TICK_SECONDS = 2
THEME = {
    "primaryColor": "blue",
    "defaultRadius": "md",
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
}
NAVBAR = {"width": 220, "breakpoint": "sm", "collapsed": {"mobile": True}}


def icon(name: str) -> Component:
    """An icon of assets/icons, in the colour of the text around it."""
    return html.Span(
        className="icon", style={"--icon": f"url('/assets/icons/{name}.svg')"}, **attributes(aria_hidden="true")
    )


def shell(pages: Sequence[ModuleType]) -> Component:
    """The application's layout; `pages` are in the order of the navigation."""
    provider: Component = dmc.MantineProvider(
        [
            dcc.Interval(id="tick", interval=TICK_SECONDS * 1000),
            dcc.Store(id="live"),  # version of the snapshot that the page shows
            dcc.Store(id="scheme"),  # "light" or "dark", as shown
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_header()),
                    dmc.AppShellNavbar(_navigation(pages)),
                    dmc.AppShellMain(html.Main(dash.page_container, className="page")),
                ],
                id="shell",
                header={"height": 56},
                navbar=NAVBAR,
                padding="md",
            ),
        ],
        id="mantine",
        theme=THEME,
        defaultColorScheme="auto",
    )
    return provider


def _header() -> Component:
    return html.Div(
        [
            dmc.Burger(
                id="burger",
                opened=False,
                hiddenFrom="sm",
                size="sm",
                **attributes(aria_label="Show or hide the navigation"),
            ),
            html.A([icon("lake"), html.Span("Lakehouse")], href="/", className="brand"),
            html.Span(className="space"),
            html.Span(id="status-pill", className="pill", role="status", **attributes(status="connecting")),
            html.Button(
                [html.Span(id="theme-icon", className="icon theme-icon", **attributes(aria_hidden="true"))],
                id="theme-toggle",
                className="icon-button",
                type="button",
                **attributes(aria_label="Theme"),
            ),
        ],
        className="header",
    )


def _navigation(pages: Sequence[ModuleType]) -> Component:
    links = [
        dmc.NavLink(
            label=page.NAME,
            href=page.PATH,
            active="exact",
            leftSection=icon(getattr(page, "ICON", "page")),
            id=f"nav-{page.NAME.lower()}",
        )
        for page in pages
    ]
    return html.Nav(links, className="navigation", **attributes(aria_label="Pages"))


def _clientside(name: str, *arguments: Output | Input | State, **options: bool) -> None:
    dash.clientside_callback(ClientsideFunction("lake", name), *arguments, **options)


_clientside("tick", Output("live", "data"), Input("tick", "n_intervals"), State("live", "data"))
_clientside("theme", Output("scheme", "data"), Output("mantine", "forceColorScheme"), Input("theme-toggle", "n_clicks"))
_clientside("navigation", Output("shell", "navbar"), Input("burger", "opened"), State("shell", "navbar"))
_clientside("closed", Output("burger", "opened"), Input("_pages_location", "pathname"), prevent_initial_call=True)
