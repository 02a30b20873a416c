"""Finds pages by their place: a module with PATH and layout is a page, a folder with SECTION is a section.

A section's folder may have a module `source` (SOURCE: the tables that its pages show) and a module `models` (how its
models are shown on the Models page). A page also has NAME; it may have ORDER (its place in the navigation; without it
the page is not listed), ICON, OLD_PATHS (addresses that lead to it) and add_routes (for its API).
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import cast

import dashboard.pages
from dashboard.live.snapshot import Source
from dashboard.ui.navigation import Group, Link
from dashboard.ui.section import Models, Section

_PACKAGE = "dashboard.pages"


@cache
def _modules() -> tuple[ModuleType, ...]:
    found = pkgutil.walk_packages(dashboard.pages.__path__, f"{_PACKAGE}.")
    return tuple(importlib.import_module(module.name) for module in found)


def sections() -> dict[str, Section]:
    """What each section declares, by the name of its folder, in the order of the navigation."""
    found = {_folder(module): module.SECTION for module in _modules() if hasattr(module, "SECTION")}
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def section_of(page: ModuleType) -> str:
    """The section's name; empty for a page that stands outside."""
    folder = _folder(page)
    return folder if folder in sections() else ""


def pages() -> list[ModuleType]:
    """Every page, those of single things too."""
    return [module for module in _modules() if hasattr(module, "PATH") and hasattr(module, "layout")]


def listed_pages() -> list[ModuleType]:
    """The pages of the navigation: those with ORDER. A page of a single thing, as a house, has none."""
    return sorted((page for page in pages() if hasattr(page, "ORDER")), key=lambda page: (page.ORDER, page.NAME))


def navigation() -> list[Link | Group]:
    """Sections with their pages, and the pages that stand outside, in their order."""
    listed = {name: [page for page in listed_pages() if section_of(page) == name] for name in ("", *sections())}
    entries: list[tuple[int, Link | Group]] = [(page.ORDER, _link(page)) for page in listed.pop("")]
    for name, section in sections().items():
        group = Group(name, section.title, section.icon, [_link(page) for page in listed[name]])
        entries.append((section.order, group))
    return [entry for _order, entry in sorted(entries, key=lambda entry: entry[0])]


def sources() -> list[Source]:
    """The tables that the sections' pages show."""
    return [module.SOURCE for module in _by_section("source").values()]


def models() -> dict[str, Models]:
    """How each section that has models shows them, by the section's name."""
    return {section: cast(Models, module) for section, module in _by_section("models").items()}


def _by_section(module: str) -> dict[str, ModuleType]:
    """The modules of that name, by their section."""
    known = {found.__name__: found for found in _modules()}
    names = {section: f"{_PACKAGE}.{section}.{module}" for section in sections()}
    return {section: known[name] for section, name in names.items() if name in known}


def _folder(module: ModuleType) -> str:
    return module.__name__.removeprefix(f"{_PACKAGE}.").split(".")[0]


def _link(page: ModuleType) -> Link:
    return Link(page.NAME.lower().replace(" ", "-"), page.NAME, page.PATH, getattr(page, "ICON", ""))
