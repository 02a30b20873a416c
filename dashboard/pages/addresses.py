"""The addresses of pages, and what they serve besides themselves; two that are the same are refused at the start."""

from collections.abc import Iterator
from types import ModuleType

import flask

from dashboard.pages import discovery
from dashboard.server import redirects, routes
from dashboard.server.routes import Claim

OURS = "the dashboard"


def of_page(page: ModuleType) -> tuple[str, ...]:
    """All addresses at which a page is shown, its own first."""
    return (page.PATH, *getattr(page, "ALSO_AT", ()))


def claims(server: flask.Flask) -> list[Claim]:
    """What is served before there are pages, what is a section's by its name, and what modules of pages declare.

    Raises LakeError when two of them are the same.
    """
    found = [Claim(OURS, rule) for rule, _ in sorted(routes.served(server)) if rule != "/"]
    found.append(Claim(OURS, "/404"))
    for section in discovery.sections():
        found += routes.prefix(f"the pages of {section}", section)
    for module in discovery.modules():
        found += [Claim(_owner(module), rule, module.__name__) for rule in _declared(module)]
    routes.check(found)
    return found


def add_routes(server: flask.Flask, claimed: list[Claim]) -> None:
    """Serve what the modules declare; raises LakeError when a page's own add_routes takes an address of another."""
    for module in discovery.modules():
        before = routes.served(server)
        routes.add(server, getattr(module, "ROUTES", {}))
        if module in discovery.pages():
            _add_of_page(server, module)
        added = sorted(routes.served(server) - before)
        claimed += [Claim(_owner(module), rule, module.__name__) for rule, _ in added]
    routes.check(claimed)


def _add_of_page(server: flask.Flask, page: ModuleType) -> None:
    for old in getattr(page, "OLD_PATHS", ()):
        redirects.add(server, old, page.PATH)
    if hasattr(page, "add_routes"):
        page.add_routes(server)


def _declared(module: ModuleType) -> Iterator[str]:
    if module in discovery.pages():
        yield from of_page(module)
        yield from getattr(module, "OLD_PATHS", ())
    yield from getattr(module, "ROUTES", {})


def _owner(module: ModuleType) -> str:
    """Whose the module's addresses are, as a message names it."""
    section = discovery.section_of(module)
    return f"the pages of {section}" if section else f"the page {discovery.folder(module)}"
