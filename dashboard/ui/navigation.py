"""The navigation: pages that stand outside, and sections with their pages under them."""

from collections.abc import Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from dashboard.ui.tiles import attributes


@dataclass(frozen=True)
class Link:
    """A page of the navigation; `name` is unique among the pages of its group."""

    name: str
    title: str
    address: str
    icon: str = ""


@dataclass(frozen=True)
class Group:
    """A section and its pages."""

    name: str
    title: str
    icon: str
    links: Sequence[Link]


def icon(name: str) -> Component:
    """An icon of assets/ (its path without .svg), in the colour of the text around it."""
    return html.Span(className="icon", style={"--icon": f"url('/assets/{name}.svg')"}, **attributes(aria_hidden="true"))


def navigation(entries: Sequence[Link | Group]) -> Component:
    """The entries in their order."""
    parts = [_group(entry) if isinstance(entry, Group) else _link("nav", entry) for entry in entries]
    return html.Nav(parts, className="navigation", **attributes(aria_label="Pages"))


def _group(group: Group) -> Component:
    title = f"nav-{group.name}"
    heading = html.Div([icon(group.icon), html.Span(group.title, id=title)], className="nav-section")
    links = [_link(title, link) for link in group.links]
    return html.Div([heading, *links], className="nav-group", role="group", **attributes(aria_labelledby=title))


def _link(prefix: str, link: Link) -> Component:
    shown: Component = dmc.NavLink(
        label=link.title,
        href=link.address,
        active="exact",
        leftSection=icon(link.icon) if link.icon else None,
        id=f"{prefix}-{link.name}",
    )
    return shown
