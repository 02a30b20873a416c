"""Finds pages by their place: a module with PATH and layout is a page, a folder with SECTION is a section.

A section's folder has the domain's name. It may have a module `source` (SOURCE: what its pages show beside what every
domain has) and a module `models` (`details(model)`: how the Models page shows that model in the section's words, as
ModelDetails; None for a model that it has none for). A page also has NAME; it may have

- ORDER: its place in the navigation; without it the page is not listed
- ICON: a file under assets/, for a page that stands outside of sections
- SHOWS: tables of the domain by name, each with the id of the tile that shows it; the overview leads there
- ALSO_AT: more addresses at which the same page is shown; OLD_PATHS: addresses that lead to it

Any module may have ROUTES: an address -> what answers there (`dashboard.server.routes`); a page may have add_routes for
what ROUTES cannot say. All these addresses may be anywhere; one that is taken is refused at the start.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import dashboard.pages
from dashboard.live.source import Source
from dashboard.ui.navigation import Group, Link
from dashboard.ui.section import ModelDetails, Section
from lakehouse.contract import discovery
from lakehouse.contract.models import Model
from lakehouse.errors import LakeError

_PACKAGE = "dashboard.pages"


@cache
def _modules() -> tuple[ModuleType, ...]:
    found = pkgutil.walk_packages(dashboard.pages.__path__, f"{_PACKAGE}.")
    return tuple(importlib.import_module(module.name) for module in found)


def sections() -> dict[str, Section]:
    """What each section declares, by the name of its folder, in the order of the navigation."""
    found = {folder(module): module.SECTION for module in _modules() if hasattr(module, "SECTION")}
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def section_of(page: ModuleType) -> str:
    """The section's name; empty for a page that stands outside."""
    name = folder(page)
    return name if name in sections() else ""


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
    """What the sections' pages show; a section without a module `source` shows what every domain has."""
    declared = _by_section("source")
    return [declared[name].SOURCE if name in declared else Source(domain=discovery.load(name)) for name in sections()]


def first_address(section: str) -> str | None:
    """Where the section's first page is; None for one without a page in the navigation."""
    return next((page.PATH for page in listed_pages() if section_of(page) == section), None)


@cache
def shown_tables(section: str) -> dict[str, str]:
    """Where each table of the domain is shown, as its pages say it. Raises LakeError for a table that it has not."""
    shown = {
        table: f"{page.PATH}#{tile}"
        for page in listed_pages()
        if section_of(page) == section
        for table, tile in getattr(page, "SHOWS", {}).items()
    }
    known = [table.name for table in discovery.load(section).tables]
    if unknown := [table for table in shown if table not in known]:
        raise LakeError(
            f"A page of {section} says that it shows the table {unknown[0]}, which is none of {section}'s: "
            f"{', '.join(known)}.",
            f"Correct SHOWS in dashboard/pages/{section}/.",
        )
    return shown


def modules() -> tuple[ModuleType, ...]:
    """Every module under dashboard/pages."""
    return _modules()


def models() -> list[Model]:
    """The models of the sections' domains, in the order of the sections."""
    domains = {source.domain.name: source.domain for source in sources()}
    return [model for section in sections() if section in domains for model in domains[section].models]


def model_details(model: Model) -> ModelDetails | None:
    """What the section of the model's domain shows of it in its own words; None when it says nothing."""
    section = _by_section("models").get(model.domain)
    details: ModelDetails | None = section.details(model) if section else None
    return details


def _by_section(module: str) -> dict[str, ModuleType]:
    """The modules of that name, by their section."""
    known = {found.__name__: found for found in _modules()}
    names = {section: f"{_PACKAGE}.{section}.{module}" for section in sections()}
    return {section: known[name] for section, name in names.items() if name in known}


def folder(module: ModuleType) -> str:
    """The folder of the module under pages/, or the name of one that is in none."""
    return module.__name__.removeprefix(f"{_PACKAGE}.").split(".")[0]


def _link(page: ModuleType) -> Link:
    return Link(page.NAME.lower().replace(" ", "-"), page.NAME, page.PATH, getattr(page, "ICON", ""))
