"""The frame in a real browser: the pill, the address, pause, CSV, keyboard and widths, on every page."""

import csv
import io
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.pages.discovery import listed_pages
from jobs.houses import schema
from lakehouse.core import run_state
from lakehouse.streaming import checkpoints
from tests.dashboard.served import App, beats, drag, settled, version, wait_until
from tests.jobs.houses.price_model import fitting
from tests.waiting import wait_for

pytestmark = pytest.mark.e2e
Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]
Publish = Callable[..., str]
MARKUP = "<img src=x onerror=window.harm=1>"
HOUSE = str(fitting.real_houses().ids[7])
PATHS = [page.PATH for page in listed_pages()] + [f"/houses/house/{HOUSE}"]  # a house that the furnished lake has, too
DEAD_PID = 2**22 + 1


@pytest.fixture
def sales(write: Write, sale: Build, average: Build, recomputed: Build, compared: Build) -> None:
    """Windows of 80 minutes in three decades, a late and a resent sale, a sale whose id is markup, a house sold."""
    decades = (1950, 1990, 2000)
    write(
        schema.AVERAGES, *[average(number, decade, 300_000.25 + number) for number in range(40) for decade in decades]
    )
    write(schema.AVERAGES_BATCH, recomputed(0, 1990, 299_999.5, 1))
    odd = {"late": 1, "resent": 2}
    write(schema.PARITY, compared(0, "late and resent", 3, -0.75) | odd, compared(1, "late", None) | {"late": 2})
    write(schema.HISTORY, *[sale(number) for number in range(1, 30)], sale(30, id=MARKUP), sale(31, id=HOUSE))


def pill(page: Page, word: str, seconds: float = 5) -> None:
    """The pill says the word, in time."""
    expect(page.locator("#status-pill")).to_contain_text(word, timeout=seconds * 1000)


def saved(page: Page, tile: str) -> list[list[str]]:
    """The rows of the file that a tile's button saves."""
    with page.expect_download() as download:
        page.locator(f"[data-csv='{tile}']").click()
    assert download.value.suggested_filename.startswith(f"{tile}-2")
    return list(csv.reader(io.StringIO(download.value.path().read_text())))


SHOWN = """table => [[...table.querySelectorAll('thead th')].map(head => head.textContent),
  ...[...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.dataset.value ?? cell.textContent))]"""


@pytest.mark.usefixtures("sales")
def test_the_pill_tells_a_stopped_query_and_a_lost_server_within_five_seconds(app: App, page: Page) -> None:
    page.goto("/houses")
    pill(page, "STALE", 30)  # a lake without any query
    for tile in ("houses-windows", "houses-feed", "houses-parity"):
        expect(page.locator(f"#{tile}")).to_have_attribute("data-state", "ready")
    page.wait_for_timeout(1_000)  # no answer is under way any more
    page.evaluate("window.sameDocument = true")
    app.stop()
    pill(page, "OFFLINE", 6)
    app.start()
    pill(page, "STALE", 30)
    assert page.evaluate("window.sameDocument") is True
    written = datetime.now(UTC) - timedelta(seconds=3)
    for name in schema.DOMAIN.queries:
        run_state.write_json(run_state.progress_file("houses", name), {"written_at": written.isoformat()})
    lock = checkpoints.path("houses", "averages").with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps(DEAD_PID))
    expect(page.locator("#status-pill")).to_have_attribute("title", re.compile("averages: unknown"), timeout=6_000)
    lock.write_text(json.dumps(os.getpid()))
    pill(page, "STALE")  # the broker is still silent


@pytest.mark.usefixtures("sales")
def test_what_is_saved_is_what_is_shown_on_every_tile(page: Page, publish: Publish) -> None:
    publish()
    tables = {
        "/houses": ("houses-last-window", "houses-windows", "houses-parity"),
        "/models": ("models-trend", "models-versions"),
        f"/houses/house/{HOUSE}": ("house-sales", "house-facts", "house-near"),
    }
    for path, tiles in tables.items():
        page.goto(path)
        for tile in tiles:
            expect(page.locator(f"#{tile}")).to_have_attribute("data-state", "ready")
            shown = [table.evaluate(SHOWN) for table in page.locator(f"#{tile} table").all()]
            assert shown, f"{tile} has no table"
            rows = [row for row in saved(page, tile) if row]
            wanted = [row for table in shown for row in table]
            captions = page.locator(f"#{tile} caption").all_text_contents()
            assert [row for row in rows if len(shown) == 1 or row not in [[text] for text in captions]] == wanted


@pytest.mark.usefixtures("sales")
def test_the_feed_is_saved_with_its_numbers_unrounded(page: Page) -> None:
    page.goto("/houses")
    expect(page.locator("#houses-feed-grid .ag-row").first).to_be_visible()
    rows = saved(page, "houses-feed")
    assert rows[0][:3] == ["Time (UTC)", "House", "Price"]
    assert [row[1] for row in rows[1:3]] == [HOUSE, MARKUP]
    assert {row[2] for row in rows[1:]} == {"500000"}
    assert len(rows) == 32


@pytest.mark.usefixtures("sales")
def test_the_address_is_the_state(app: App, page: Page) -> None:
    page.goto("/houses?range=15m&refresh=5&theme=dark&decade=1990&shape=multiples")
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    rows = page.locator("#houses-windows-table tbody tr")
    expect(rows).to_have_count(8)
    assert (page.locator("#range").input_value(), page.locator("#refresh").input_value()) == ("15m", "5")
    page.locator("#range").select_option("6h")
    expect(rows).to_have_count(40)
    page.locator("#refresh").select_option("2")
    expect(page).to_have_url(f"{app.url}/houses?range=6h&theme=dark&decade=1990&shape=multiples")
    page.locator("#houses-shape label", has_text="Lines").click()
    expect(page).to_have_url(f"{app.url}/houses?range=6h&theme=dark&decade=1990")
    page.locator("#nav-models").click()
    expect(page).to_have_url(f"{app.url}/models?domain=houses&range=6h&theme=dark")
    expect(page.locator("#frame-notice")).to_be_hidden()


@pytest.mark.usefixtures("sales")
def test_an_unknown_value_falls_back_with_a_notice(page: Page) -> None:
    page.goto("/houses?range=9y&decade=abc")
    expect(page.locator("#frame-notice")).to_contain_text("range=9y")
    expect(page.locator("#houses-notice")).to_contain_text("decade=abc")
    expect(page.locator("#houses-windows-table tbody tr")).to_have_count(31 * 3)


@pytest.mark.usefixtures("sales")
def test_pause_keeps_what_is_shown_and_says_so(app: App, page: Page, write: Write, sale: Build) -> None:
    page.goto("/houses")
    value = page.locator("#houses-kpi-history-value")
    expect(value).to_have_text("31")
    page.locator("#pause").click()
    pill(page, "PAUSED")
    before = version(app)
    write(schema.HISTORY, sale(50))
    wait_for(lambda: version(app) != before)
    beats(page, 2)
    expect(value).to_have_text("31")
    page.locator("#pause").click()
    expect(value).to_have_text("32", timeout=5_000)
    pill(page, "STALE")


@pytest.mark.parametrize("path", PATHS)
def test_every_page_fits_every_width_and_shows_text_as_text(looker: Page, path: str) -> None:
    looker.goto(path)
    settled(looker)
    for width in (1440, 1024, 390):
        looker.set_viewport_size({"width": width, "height": 844})
        wait_until(looker, "document.scrollingElement.scrollWidth <= innerWidth")
        boxes = "[...document.querySelectorAll('.tile, .kpi, .header > *, .controls > *')]"
        wait_until(looker, f"{boxes}.every(box => box.getBoundingClientRect().right <= innerWidth)")
    assert looker.evaluate("window.harm") is None


@pytest.mark.usefixtures("sales")
def test_the_feed_leads_to_a_house_with_its_sales(app: App, page: Page, publish: Publish) -> None:
    publish()
    page.goto("/houses")
    page.locator("#houses-feed-grid .ag-row[row-index='0'] [col-id='id']").click()
    expect(page).to_have_url(f"{app.url}/houses/house/{HOUSE}")
    expect(page.locator("#house-sales-table td[data-field='price']")).to_have_attribute("data-value", "500000.0")
    expect(page.locator("#house-near-table tbody tr")).to_have_count(10)
    page.locator(".page-links a", has_text="Price").click()
    expect(page).to_have_url(f"{app.url}/houses/price?id={HOUSE}")
    page.goto("/houses/house/nowhere%3Cb%3E")
    expect(page.locator("#house-sales-notice")).to_contain_text("No house has the id 'nowhere<b>'")


@pytest.mark.usefixtures("sales")
def test_small_multiples_are_one_chart_a_decade_and_keep_their_zoom(page: Page, write: Write, average: Build) -> None:
    page.goto("/houses?shape=multiples")
    graph = "document.querySelector('#houses-windows-lines .js-plotly-plot')"
    wait_until(page, f"{graph}?.data?.length == 3")
    assert page.evaluate(f"new Set({graph}.data.map(line => line.xaxis)).size") == 3
    drag(page, "#houses-windows-lines .nsewdrag", [(0.2, 0.2), (0.7, 0.8)])
    wait_until(page, f"{graph}.layout.yaxis.autorange === false")
    ranges = f"JSON.stringify([{graph}._fullLayout.xaxis2.range, {graph}._fullLayout.yaxis2.range])"
    zoomed = page.evaluate(ranges)
    write(schema.AVERAGES, average(40, 1990, 900_000.0))
    wait_until(page, f"{graph}.data[1].x.length == 31 && {graph}.data[1].y.at(-1) == 900000")
    assert page.evaluate(ranges) == zoomed


@pytest.mark.usefixtures("sales")
def test_late_and_resent_sales_are_counted_with_their_effect(page: Page) -> None:
    page.goto("/houses")
    for name, value in (("late", "3"), ("resent", "2"), ("worst", "0.75"), ("missing", "1")):
        expect(page.locator(f"#parity-kpi-{name}-value [data-value]")).to_have_attribute("data-value", value)
