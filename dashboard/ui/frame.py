"""The frame around every page: header with the status pill, navigation, the one poll."""

from collections.abc import Callable, Mapping, Sequence

import dash
import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, dcc, html
from dash.development.base_component import Component

from dashboard.ui import navigation, time_range
from dashboard.ui.navigation import Group, Link
from dashboard.ui.tiles import attributes

TICK_SECONDS = 2
REFRESHES = {"off": "Off", "2": "2 s", "5": "5 s", "10": "10 s"}
HEADER_QUERY = ("range", "refresh", "pause", "theme")
THEME = {
    "primaryColor": "blue",
    "defaultRadius": "md",
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
}
NAVBAR = {"width": 220, "breakpoint": "sm", "collapsed": {"mobile": True}}


def own_query(layout: Callable[..., Component]) -> Callable[..., Component]:
    """A page's layout that is given its own parameters of the address, without those of the header."""

    def given(**query: str) -> Component:
        return layout(**{name: value for name, value in query.items() if name not in HEADER_QUERY})

    return given


def shell(entries: Sequence[Link | Group]) -> Component:
    """The application's layout; `entries` are those of the navigation."""
    provider: Component = dmc.MantineProvider(
        [
            dcc.Interval(id="tick", interval=TICK_SECONDS * 1000),
            dcc.Store(id="live"),  # version of the snapshot that the page shows
            dcc.Store(id="poll"),  # changed for a tick out of turn
            dcc.Store(id="view"),  # the range, from the address and the header
            dcc.Store(id="scheme"),  # "light" or "dark", as shown
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_header()),
                    dmc.AppShellNavbar(navigation.navigation(entries)),
                    dmc.AppShellMain(html.Main([_notice(), dash.page_container], className="page")),
                ],
                id="shell",
                header={"height": {"base": 96, "sm": 56}},
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
            html.A([navigation.icon("core/icons/lake"), html.Span("Lakehouse")], href="/", className="brand"),
            html.Span(className="space"),
            _controls(),
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


def _controls() -> Component:
    """Range, refresh and pause; assets/core/frame.js keeps them and the address the same."""
    pause = html.Button(
        html.Span(className="icon pause-icon", **attributes(aria_hidden="true")),
        id="pause",
        className="icon-button",
        type="button",
        **attributes(aria_label="Pause", aria_pressed="false"),
    )
    parts = [
        _select("range", "Time range", time_range.LABELS, time_range.USUAL),
        _select("refresh", "Refresh", REFRESHES, "2"),
        pause,
    ]
    return html.Div(parts, className="controls", role="group", **attributes(aria_label="Time range and refresh"))


def _select(name: str, label: str, choices: Mapping[str, str], usual: str) -> Component:
    options = [html.Option(shown, value=value, selected=value == usual) for value, shown in choices.items()]
    return html.Select(options, id=name, className="select", title=label, **attributes(aria_label=label))


def _notice() -> Component:
    """What of the address is not known."""
    return html.P(id="frame-notice", className="notice", role="status")


def _clientside(name: str, *arguments: Output | Input | State, **options: bool) -> None:
    dash.clientside_callback(ClientsideFunction("lake", name), *arguments, **options)


_clientside("tick", Output("live", "data"), Input("tick", "n_intervals"), Input("poll", "data"), State("live", "data"))
_clientside("start", Output("view", "data"), Input("range", "id"))
_clientside("arrived", Output("range", "title"), Input("_pages_location", "pathname"))
_clientside("theme", Output("scheme", "data"), Output("mantine", "forceColorScheme"), Input("theme-toggle", "n_clicks"))
_clientside("navigation", Output("shell", "navbar"), Input("burger", "opened"), State("shell", "navbar"))
_clientside("closed", Output("burger", "opened"), Input("_pages_location", "pathname"), prevent_initial_call=True)
