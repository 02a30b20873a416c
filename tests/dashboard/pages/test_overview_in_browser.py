"""The sales pages in a real browser, over a lake that the test writes and changes."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from jobs.houses import schema
from tests.dashboard.served import App, drag, wait_until
from tests.waiting import wait_for

pytestmark = pytest.mark.e2e
Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]
MARKUP = "<img src=x onerror=window.harm=1>"


@pytest.fixture
def sales(write: Write, sale: Build, average: Build, recomputed: Build, compared: Build) -> None:
    """Twelve decades, one provisional window, a recomputation that differs once, a sale whose id is markup."""
    windows = [average(number, decade, 300_000.25 + number) for number in range(3) for decade in range(1900, 2020, 10)]
    write(schema.AVERAGES, *windows, average(3, 1990, 654_321.125, 7, is_final=False))
    write(schema.AVERAGES_BATCH, recomputed(0, 1990, 299_999.5, 1))
    write(schema.PARITY, compared(0, "resent", 2, -0.75), compared(1))
    write(schema.HISTORY, *[sale(number) for number in range(1, 30)], sale(30, id=MARKUP))
    dead = {"topic": "houses", "partition": 0, "offset": 99, "recorded_at": sale(1)["recorded_at"]}
    write(schema.DEAD_LETTERS, dead | {"reason": "<b>bad</b>"})


@pytest.mark.usefixtures("sales")
def test_the_houses_page_shows_the_lake_and_follows_it(page: Page, write: Write, sale: Build, average: Build) -> None:
    page.goto("/houses")
    for tile in ("houses-last-window", "houses-windows", "houses-feed", "houses-parity"):
        expect(page.locator(f"#{tile}")).to_have_attribute("data-state", "ready")
    row = page.locator("#houses-last-window-table tr[data-decade='1990']")
    expect(row.locator("td[data-field='avg_price']")).to_have_attribute("data-value", "654321.125")
    expect(row.locator("td[data-field='sales']")).to_have_text("7")
    expect(row.locator("td[data-field='state']")).to_have_text("provisional")
    batch = page.locator("#houses-windows-table tr[data-window='2026-05-01T12:00:00+00:00'][data-decade='1990']")
    expect(batch.locator("td[data-field='layer']")).to_have_text("batch")
    expect(batch.locator("td[data-field='avg_price']")).to_have_attribute("data-value", "299999.5")
    expect(page.locator("#houses-parity-summary")).to_have_text("1 of 2 windows agree; 1 differs by resent")
    newest = page.locator("#houses-feed-grid .ag-row[row-index='0'] [col-id='id']")
    expect(newest).to_have_text(MARKUP)
    assert page.evaluate("window.harm") is None

    page.evaluate("document.querySelector('#houses-feed-grid .ag-row').dataset.kept = '1'")
    now = datetime.now(UTC)  # the sales so far are of another day
    write(schema.HISTORY, sale(31, id="one-more", event_at=now, recorded_at=now))
    write(schema.AVERAGES, average(4, 1990, 700_000.5, 1, is_final=False))
    expect(newest).to_have_text("one-more")
    time = page.locator("#houses-feed-grid .ag-row[row-index='0'] [col-id='time']")
    expect(time).to_have_text(re.compile(f"{now:%H:%M:%S}$"))
    expect(page.locator("#houses-feed-grid-delay")).to_contain_text("of the last event seen here")
    expect(row.locator("td[data-field='avg_price']")).to_have_attribute("data-value", "700000.5")
    assert page.locator("#houses-feed-grid .ag-row[data-kept]").count() == 1  # old rows are moved, not drawn again
    expect(page.locator("#houses-kpi-history-value")).to_have_text("31")


@pytest.mark.usefixtures("sales")
def test_zoom_and_hidden_lines_survive_new_data(page: Page, write: Write, average: Build) -> None:
    page.goto("/houses")
    graph = "document.querySelector('#houses-windows-lines .js-plotly-plot')"
    wait_until(page, f"{graph}?.data?.length > 0")
    drag(page, "#houses-windows-lines .nsewdrag", [(0.2, 0.2), (0.6, 0.8)])
    ranges = f"[...{graph}.layout.xaxis.range, ...{graph}.layout.yaxis.range]"
    wait_until(page, f"{graph}.layout.yaxis.autorange === false")
    zoomed = page.evaluate(ranges)
    page.locator("#houses-windows-lines .legendtoggle").first.click()
    hidden = f"{graph}.data.filter(line => line.visible === 'legendonly').length"
    wait_until(page, f"{hidden} == 1")
    points = f"{graph}.data[1].x.length"
    for number in (4, 5):
        write(schema.AVERAGES, *[average(number, decade) for decade in range(1900, 2020, 10)])
        wait_until(page, f"{points} == {number}")
    assert page.evaluate(ranges) == zoomed
    assert page.evaluate(hidden) == 1


@pytest.mark.usefixtures("sales")
def test_zoom_filter_and_scroll_survive_sixty_ticks(page: Page, write: Write, sale: Build, average: Build) -> None:
    page.goto("/houses")
    graph = "document.querySelector('#houses-windows-lines .js-plotly-plot')"
    wait_until(page, f"{graph}?.data?.length > 0")
    page.locator("#houses-decades").click()
    for decade in ("1980s", "1990s"):
        page.get_by_role("option", name=decade).click()
    page.keyboard.press("Escape")
    wait_until(page, f"{graph}.data.length == 2")
    drag(page, "#houses-windows-lines .nsewdrag", [(0.2, 0.2), (0.6, 0.8)])
    wait_until(page, f"{graph}.layout.yaxis.autorange === false")
    feed = "document.querySelector('#houses-feed-grid .ag-body-viewport, #houses-feed-grid .ag-grid-viewport')"
    page.evaluate(f"{feed}.scrollTop = 200; scrollTo(0, 300)")
    kept = f"JSON.stringify([{graph}.layout.xaxis.range, {graph}.layout.yaxis.range, {graph}.data.length, scrollY, "
    kept += f"{feed}.scrollTop, document.querySelector('#houses-decades').closest('.grow').textContent])"
    before, answers = page.evaluate(kept), [0]
    page.on("response", lambda response: answers.__setitem__(0, answers[0] + ("update-component" in response.url)))
    for number in range(60):  # each asks every callback of the page, as a newer snapshot does
        if number % 10 == 0:
            write(schema.AVERAGES, *[average(4 + number // 10, decade) for decade in range(1900, 2020, 10)])
            write(schema.HISTORY, sale(100 + number))
        before_tick = answers[0]
        page.evaluate(f"dash_clientside.set_props('live', {{data: 'tick {number}'}})")
        wait_for(lambda before_tick=before_tick: page.wait_for_timeout(20) or answers[0] >= before_tick + 5)
    expect(page.locator("#houses-kpi-history-value")).to_have_text("36")
    wait_until(page, f"{graph}.data[1].x.length > 4")
    assert page.evaluate(kept) == before


@pytest.mark.usefixtures("sales")
def test_the_overview_draws_the_flow_and_leads_to_the_houses(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#overview-houses-history-value")).to_have_text("30")
    expect(page.locator("#overview-houses-dead-letters")).to_contain_text("1 × <b>bad</b>")
    expect(page.locator("#flow-houses-table-history")).to_contain_text("filled")
    for topic in ("houses", "AVG_PRICE_PER_YEAR"):
        expect(page.locator(f"#flow-houses-topic-{topic}")).to_contain_text("no answer")
    expect(page.locator("#overview-houses-notice")).to_contain_text("lake up")
    expect(page.locator(".flow-lines path[marker-end]")).to_have_count(12)
    page.locator("#nav-houses-live").click()
    expect(page.locator("#houses-last-window")).to_have_attribute("data-state", "ready")
    page.locator("#nav-overview").click()
    page.locator("#nav-houses-live").click()
    expect(page.locator("#houses-feed-grid .ag-row").first).to_be_visible()


def test_no_two_times_of_an_axis_read_the_same(page: Page, write: Write, average: Build) -> None:
    write(schema.AVERAGES, average(0), average(1))  # two minutes: ticks are less than a minute apart
    page.goto("/houses")
    labels = page.locator("#houses-windows-lines .xtick text")
    expect(labels.first).to_be_visible()
    shown = labels.all_text_contents()
    assert len(shown) == len(set(shown)) > 2


def test_an_empty_lake_names_the_command_on_every_tile(page: Page) -> None:
    page.goto("/houses")
    expect(page.locator("#houses-last-window-notice")).to_contain_text("./spark-submit.sh jobs/houses/produce.py")
    expect(page.locator("#houses-feed-notice")).to_contain_text("./spark-submit.sh jobs/houses/produce.py")
    expect(page.locator("#houses-parity-notice")).to_contain_text("./spark-submit.sh jobs/houses/recompute.py")
    expect(page.locator("#status-pill")).to_have_text("NO DATA")


@pytest.mark.usefixtures("sales")
def test_a_lost_server_is_shown_and_the_page_comes_back_by_itself(
    app: App, page: Page, write: Write, sale: Build
) -> None:
    page.goto("/houses")
    expect(page.locator("#houses-kpi-history-value")).to_have_text("30")
    page.evaluate("window.sameDocument = true")
    assert app.stop() == 0
    expect(page.locator("#status-pill")).to_have_text("OFFLINE", timeout=15_000)
    write(schema.HISTORY, sale(40, id="while-away"))
    app.start()
    expect(page.locator("#houses-feed-grid .ag-row[row-index='0'] [col-id='id']")).to_have_text("while-away")
    expect(page.locator("#status-pill")).not_to_have_text("OFFLINE")
    assert page.evaluate("window.sameDocument") is True


@pytest.mark.usefixtures("sales")
def test_the_theme_is_kept_and_the_figures_follow_it(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/houses")
    root = page.locator("html")
    expect(root).to_have_attribute("data-mantine-color-scheme", "dark")
    page.locator("#theme-toggle").click()  # as the system -> light
    expect(root).to_have_attribute("data-mantine-color-scheme", "light")
    colour = "document.querySelector('#houses-last-window-bars .js-plotly-plot')?.layout?.font?.color"
    wait_until(page, f"{colour} == '#212529'")
    page.reload()
    expect(root).to_have_attribute("data-mantine-color-scheme", "light")
    wait_until(page, f"{colour} == '#212529'")


@pytest.mark.usefixtures("sales")
def test_a_narrow_page_has_no_horizontal_scrollbar(page: Page) -> None:
    inside = "[...document.querySelectorAll('.page > *, .tile, .kpi, .header > *')]"
    widest = f"Math.max(...{inside}.map(element => element.getBoundingClientRect().right))"
    for path in ("/", "/houses"):
        page.goto(path)
        expect(page.locator(".tile[data-state='ready']").first).to_be_visible()
        for width in (1024, 768, 390):
            page.set_viewport_size({"width": width, "height": 844})
            wait_until(page, f"{widest} <= {width} && document.documentElement.scrollWidth <= {width}")


@pytest.mark.usefixtures("sales")
def test_the_navigation_opens_and_closes_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    expect(page.locator("#nav-houses-live")).not_to_be_in_viewport()
    page.locator("#burger").click()
    page.locator("#nav-houses-live").click()
    expect(page.locator("#houses-last-window")).to_have_attribute("data-state", "ready")
    expect(page.locator("#nav-houses-live")).not_to_be_in_viewport()


def test_a_quiet_topic_is_explained(page: Page, write: Write, sale: Build, average: Build) -> None:
    ago = datetime.now(UTC) - timedelta(minutes=10)
    write(schema.HISTORY, sale(1, event_at=ago))
    write(schema.AVERAGES, average(0, is_final=False))
    page.goto("/houses")
    expect(page.locator("#houses-last-window-note")).to_contain_text(
        "with no newer sale the last windows stay provisional"
    )
    expect(page.locator("#houses-last-window-note p")).to_be_visible()
