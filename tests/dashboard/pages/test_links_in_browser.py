"""Every link on every page leads to a page that is there, and to an element of it where it names one."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from deltalake import write_deltalake
from playwright.sync_api import Page, expect

from dashboard.pages import discovery
from jobs.production import schema
from lakehouse.tables import table_io
from tests.dashboard.served import App, settled

pytestmark = pytest.mark.e2e
OF_A_KIND = 2  # of pages of single things, as a house, so many are opened
LINKS = "[...document.querySelectorAll('a[href]')].map(link => link.getAttribute('href'))"
IDS = "[...document.querySelectorAll('[id]')].map(element => element.id)"
NO_PAGE = "There is no such page"


@pytest.fixture
def everywhere(furnished: App) -> None:
    """The furnished lake with something on the production line, too, so that the overview shows both."""
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    counts: dict[str, Any] = {"units": 10, "defects_found": 1, "defects_charged": 1, "defective_units": 1}
    origin = {"generation": "g", "batch_id": 1, "updated_at": at}
    day = {"day": date(2026, 5, 1), "zone_id": "BODY", "newest_at": at, **origin}
    for table, row in (
        (schema.TOTALS, day | counts | {"throughput": 90}),
        (schema.HOURS, day | counts | {"hour_start": at}),
        (schema.CONCERNS, day | {"hour_start": at, "concern_id": "gap", "defects": 1}),
    ):
        rows = table_io.rows(table, [{name: row[name] for name in table.columns}])
        write_deltalake(table_io.create(table), rows, mode="append")


def kind(path: str) -> str:
    """The PATH of the page at an address; the address itself where no page has it."""
    for page in discovery.pages():
        if re.fullmatch(re.sub(r"<\w+>", "[^/]+", page.PATH), path):
            return str(page.PATH)
    return path


class Walk:
    """Opens the pages that links lead to, and keeps what is on each."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.ids: dict[str, set[str]] = {}  # by the page's PATH: what single things of a kind show is taken together
        self.links: dict[str, set[str]] = {}  # by the address on which they stand
        self._opened: dict[str, set[str]] = {}

    def open(self, address: str) -> None:
        """Open the address and, from there, every other one."""
        waiting = [address]
        while waiting:
            here = waiting.pop()
            path = urlsplit(here).path
            opened = self._opened.setdefault(kind(path), set())
            if path in opened or len(opened) >= OF_A_KIND:
                continue
            opened.add(path)
            waiting += self._look(here, path)

    def _look(self, address: str, path: str) -> list[str]:
        answer = self._page.goto(address)
        assert answer is not None
        if "html" not in answer.headers["content-type"]:  # a page's API
            self.ids.update({kind(path): set()} if answer.ok else {})
            return []
        if self._page.locator(".page h1").first.inner_text() == NO_PAGE:
            return []
        settled(self._page)
        self.ids.setdefault(kind(path), set()).update(self._page.evaluate(IDS))
        self.links[address] = set(self._page.evaluate(LINKS))
        return [urljoin(address, link) for link in sorted(self.links[address]) if link.startswith(("/", "?", "#"))]

    def dead(self) -> Iterator[str]:
        """The links that lead to no page, or to an element that the page has not."""
        for address, links in self.links.items():
            for link in sorted(links):
                target = urlsplit(urljoin(address, link))
                there = self.ids.get(kind(target.path))
                if not target.netloc and (there is None or (target.fragment and target.fragment not in there)):
                    yield f"{link} on {address}"


@pytest.mark.usefixtures("everywhere")
def test_no_link_leads_nowhere(looker: Page) -> None:
    walk = Walk(looker)
    for page in discovery.listed_pages():
        walk.open(page.PATH)
    assert sum(len(links) for links in walk.links.values()) > 50
    assert {page.PATH for page in discovery.pages()} <= set(walk.ids)  # every page is led to from another
    assert list(walk.dead()) == []


def test_a_click_on_models_shows_whose_they_are_in_the_address(looker: Page) -> None:
    looker.goto("/houses?range=6h")
    looker.locator("#nav-models").click()
    first = discovery.models()[0].domain
    expect(looker).to_have_url(re.compile(rf"/models\?domain={first}&range=6h$"))
    looker.goto("/models?domain=nowhere")
    expect(looker.locator("#models-notice")).to_contain_text("domain=nowhere")
    expect(looker).to_have_url(re.compile(r"/models\?domain=nowhere$"))
