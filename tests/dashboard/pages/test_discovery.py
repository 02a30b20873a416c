"""Pages by their place: sections, the navigation, and what a section declares."""

import pytest
from dash.development.base_component import Component

from dashboard.pages import discovery
from dashboard.ui import flow
from dashboard.ui.navigation import Group, Link, navigation
from dashboard.ui.section import Models
from lakehouse.contract import discovery as domains

SECTIONS = discovery.sections()


def links() -> list[Link]:
    """Every link of the navigation."""
    entries = discovery.navigation()
    return [link for entry in entries for link in (entry.links if isinstance(entry, Group) else [entry])]


def test_every_domain_is_a_section_and_every_section_a_domain() -> None:
    assert sorted(SECTIONS) == sorted(domains.domains())
    assert sorted(source.domain.name for source in discovery.sources()) == sorted(domains.domains())


def test_the_navigation_has_every_listed_page_once_sections_by_their_order() -> None:
    addresses = [link.address for link in links()]
    assert sorted(addresses) == sorted({page.PATH for page in discovery.listed_pages()})
    groups = [entry.name for entry in discovery.navigation() if isinstance(entry, Group)]
    assert groups == list(SECTIONS)
    assert addresses[0] == "/"
    for group in (entry for entry in discovery.navigation() if isinstance(entry, Group)):
        assert group.links, f"{group.name} has no page"
        assert all(f"{link.address}/".startswith(f"/{group.name}/") for link in group.links)


def test_two_sections_may_have_a_page_of_one_name() -> None:
    both = [Group(name, name, "core/icons/page", [Link("live", "Live", f"/{name}")]) for name in ("one", "two")]
    shown = ids(navigation([Link("live", "Live", "/"), *both]))
    assert {"nav-live", "nav-one-live", "nav-two-live"} <= set(shown)
    assert len(shown) == len(set(shown))


def test_no_two_links_have_one_id() -> None:
    shown = ids(navigation(discovery.navigation()))
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("domain", list(SECTIONS))
def test_every_link_of_the_overviews_flow_leads_to_an_element_that_is_there(domain: str) -> None:
    details, listed = SECTIONS[domain].details, {page.PATH: page for page in discovery.listed_pages()}
    parts = {end for edge in flow.EDGES.split() for end in edge.split(">")}
    assert set(details) <= parts
    for part in parts | {"processes"}:
        path, _, element = flow.detail(part, details).partition("#")
        assert path in listed, f"{part} of {domain} leads to {path}"
        assert not element or element in ids(listed[path].layout()), f"{part} of {domain} leads to {path}#{element}"


def test_a_domain_without_addresses_of_its_own_leads_to_pages_that_are_there() -> None:
    listed = {page.PATH: page for page in discovery.listed_pages()}
    for part in {end for edge in flow.EDGES.split() for end in edge.split(">")}:
        path, _, element = flow.detail(part).partition("#")
        assert not element or element in ids(listed[path].layout())


@pytest.mark.parametrize("section", list(discovery.models()))
def test_a_section_with_models_shows_all_that_the_models_page_asks_for(section: str) -> None:
    shown = discovery.models()[section]
    wanted = [name for name in (*Models.__annotations__, *vars(Models)) if not name.startswith("_")]
    assert [name for name in wanted if not hasattr(shown, name)] == []


def ids(component: object) -> list[str]:
    """The ids of a component and all within it."""
    if isinstance(component, list | tuple):
        return [found for part in component for found in ids(part)]
    if not isinstance(component, Component):
        return []
    own = [component.id] if isinstance(getattr(component, "id", None), str) else []
    return own + [found for name in component._prop_names for found in ids(getattr(component, name, None))]
