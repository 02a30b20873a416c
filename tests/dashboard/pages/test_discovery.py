"""Pages by their place: sections, the navigation, and what a section declares."""

from dataclasses import replace
from typing import get_args

import pytest
from dash.development.base_component import Component

from dashboard.pages import discovery
from dashboard.ui import flow_plan
from dashboard.ui.flow import Links
from dashboard.ui.navigation import Group, Link, navigation
from lakehouse.contract import discovery as domains
from lakehouse.contract.models import Model
from lakehouse.errors import LakeError
from lakehouse.models.manifests import Manifest

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


def test_two_sections_may_have_a_page_of_one_name() -> None:
    both = [Group(name, name, "core/icons/page", [Link("live", "Live", f"/{name}")]) for name in ("one", "two")]
    shown = ids(navigation([Link("live", "Live", "/"), *both]))
    assert {"nav-live", "nav-one-live", "nav-two-live"} <= set(shown)
    assert len(shown) == len(set(shown))


def test_no_two_links_have_one_id() -> None:
    shown = ids(navigation(discovery.navigation()))
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("domain", list(SECTIONS))
def test_a_page_shows_its_tables_where_it_says(domain: str) -> None:
    found = {page.PATH: page for page in discovery.listed_pages()}
    shown = discovery.shown_tables(domain)
    assert shown
    for table, address in shown.items():
        path, _, element = address.partition("#")
        assert element in ids(found[path].layout()), f"{table} of {domain} is said to be shown at {address}"


@pytest.mark.parametrize("kind", get_args(flow_plan.Kind))
def test_what_no_page_shows_is_on_the_health_page(kind: str) -> None:
    found = {page.PATH: page for page in discovery.listed_pages()}
    path, _, element = Links().of(kind, "no-table").partition("#")
    assert not element or element in ids(found[path].layout())


def test_a_page_that_shows_a_table_of_no_domain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    section, page = next((discovery.section_of(page), page) for page in discovery.pages() if hasattr(page, "SHOWS"))
    monkeypatch.setattr(page, "SHOWS", {"averagez": "a-tile"})
    discovery.shown_tables.cache_clear()
    with pytest.raises(LakeError, match=f"A page of {section} says that it shows the table averagez, which is none of"):
        discovery.shown_tables(section)


def test_a_section_without_a_source_shows_what_every_domain_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_by_section", lambda _module: {})
    found = discovery.sources()
    assert [source.domain.name for source in found] == list(SECTIONS)
    assert [(source.readings, source.values, source.layers) for source in found] == [({}, {}, None)] * len(found)


@pytest.mark.parametrize("model", discovery.models(), ids=lambda model: model.full_name)
def test_a_section_shows_in_its_own_words_only_the_models_that_it_knows(model: Model) -> None:
    details = discovery.model_details(model)
    if details:
        assert ("models-newest-table" in ids(details.newest_table([])), details.why_empty(Manifest())) == (True, "")
    assert discovery.model_details(replace(model, name="another")) is None
    assert discovery.model_details(replace(model, domain="elsewhere")) is None


def ids(component: object) -> list[str]:
    """The ids of a component and all within it."""
    if isinstance(component, list | tuple):
        return [found for part in component for found in ids(part)]
    if not isinstance(component, Component):
        return []
    own = [component.id] if isinstance(getattr(component, "id", None), str) else []
    return own + [found for name in component._prop_names for found in ids(getattr(component, name, None))]
