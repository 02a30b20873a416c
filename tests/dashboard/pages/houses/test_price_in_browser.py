"""Price, models and map in a real browser, over a small real model: what they show is what the pricer says."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from jobs.houses import schema
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from tests.dashboard.served import App, wait_until
from tests.jobs.houses.price_model import fitting

pytestmark = pytest.mark.e2e
Publish = Callable[..., str]
Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]
HOUSE = str(fitting.real_houses().ids[7])
TILES = ("price-answer", "price-what-if", "price-contributions", "price-comparables")


def api(app: App, house: str, query: str = "") -> dict[str, Any]:
    """The answer that the page must show."""
    with urlopen(f"{app.url}/api/houses/{house}/price{query}") as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def price_is(page: Page, price: float) -> None:
    expect(page.locator("#price-kpi-price-value [data-value]")).to_have_attribute("data-value", str(price))


def test_a_house_is_found_while_typing_and_its_price_explained(app: App, page: Page, publish: Publish) -> None:
    publish()
    page.goto("/houses/price")
    expect(page.locator("#price-answer")).to_have_attribute("data-state", "empty")
    page.locator("#price-search").press_sequentially(HOUSE[:5])
    page.locator(f"#price-found li[data-house='{HOUSE}'] a").click()
    for tile in TILES:
        expect(page.locator(f"#{tile}")).to_have_attribute("data-state", "ready")
    answer = api(app, HOUSE)
    price_is(page, answer["price"])
    low = page.locator("#price-kpi-interval-value [data-low]")
    expect(low).to_have_attribute("data-low", str(answer["low"]))
    expect(low).to_have_attribute("data-high", str(answer["high"]))
    expect(page.locator("#price-kpi-version-value")).to_have_text("v0001")
    expect(page.locator("#price-comparables-table tbody tr")).to_have_count(5)
    parts = page.locator("#price-contributions-table td[data-field='dollars']")
    dollars = [float(value) for value in parts.evaluate_all("cells => cells.map(cell => cell.dataset.value)")]
    assert sum(dollars[:-1]) == pytest.approx(answer["price"])
    graph = "document.querySelector('#price-waterfall .js-plotly-plot')"
    wait_until(page, f"{graph}?.data?.[0]?.x?.length > 5")
    comparable = page.locator("#price-comparables-table a").first
    other = comparable.text_content() or ""
    comparable.click()
    price_is(page, api(app, other)["price"])


def test_a_slider_moves_the_price_and_the_link_restores_the_view(app: App, page: Page, publish: Publish) -> None:
    publish()
    page.goto(f"/houses/price?id={HOUSE}&lat=47.6")
    original = api(app, HOUSE)
    price_is(page, api(app, HOUSE, "?lat=47.6")["price"])
    slider = page.locator("#what-if-grade [role='slider']")
    expect(slider).to_have_attribute("aria-label", "Grade")
    slider.focus()
    page.keyboard.press("ArrowRight")
    grade = original["facts"]["grade"] + 1
    changed = api(app, HOUSE, f"?lat=47.6&grade={grade}")
    price_is(page, changed["price"])
    assert changed["price"] != original["price"]
    expect(page.locator("#price-what-if-line")).to_contain_text(f"${original['price']:,.0f}")
    expect(page.locator("#price-what-if-line [data-value]")).to_have_attribute("data-value", str(changed["price"]))
    address = f"/houses/price?id={HOUSE}&lat=47.6&grade={grade:g}"
    expect(page.locator("#price-link")).to_have_value(address)
    expect(page).to_have_url(app.url + address)
    page.locator("#price-copy").click()
    expect(page.locator("#price-copy")).to_have_text("Copied")

    page.reload()
    price_is(page, changed["price"])
    expect(page.locator("#what-if-grade [role='slider']")).to_have_attribute("aria-valuenow", f"{grade:g}")
    page.locator("#price-reset").click()
    price_is(page, original["price"])
    expect(page).to_have_url(f"{app.url}/houses/price?id={HOUSE}")


def test_an_unknown_house_and_a_bad_fact_are_explained(page: Page, publish: Publish) -> None:
    publish()
    page.goto(f"/houses/price?id={HOUSE}0")
    expect(page.locator("#price-answer")).to_have_attribute("data-state", "error")
    expect(page.locator("#price-answer-notice")).to_contain_text(f"No house has the id '{HOUSE}0'.")
    page.locator("#price-answer-notice a", has_text=re.compile(f"^{HOUSE}$")).click()
    expect(page.locator("#price-answer")).to_have_attribute("data-state", "ready")
    page.goto(f"/houses/price?id={HOUSE}&grade=99")
    expect(page.locator("#price-answer-notice")).to_contain_text("grade must be a number from 1 to 13; got '99'.")


def test_without_a_model_every_tile_names_the_command_and_fills_by_itself(
    app: App, page: Page, publish: Publish
) -> None:
    command = "./spark-submit.sh jobs/houses/train.py"
    for path, tiles in (
        ("/models", ("models-trend", "models-versions", "models-live-error")),
        ("/houses/map", ("map-houses",)),
    ):
        page.goto(path)
        for tile in tiles:
            expect(page.locator(f"#{tile}")).to_have_attribute("data-state", "empty")
            expect(page.locator(f"#{tile}-notice")).to_contain_text(command)
    page.goto(f"/houses/price?id={HOUSE}")
    expect(page.locator("#price-answer-notice")).to_contain_text(command)
    publish()
    expect(page.locator("#price-answer")).to_have_attribute("data-state", "ready", timeout=10_000)
    price_is(page, api(app, HOUSE)["price"])
    expect(page.locator("#what-if-grade [role='slider']")).to_be_visible()


def test_a_switch_shows_on_every_page_within_seconds(
    app: App, page: Page, publish: Publish, write: Write, sale: Build
) -> None:
    publish()
    write(schema.HISTORY, sale(1, id=HOUSE), sale(2, id="unknown"))
    page.goto("/houses")
    first, second = api(app, HOUSE)["price"], 2 * api(app, HOUSE)["price"]
    shown = page.locator("#houses-feed-grid .ag-row[row-index='1'] [col-id='predicted']")
    expect(shown).to_have_text(f"${first:,.0f}")
    expect(page.locator("#houses-feed-grid .ag-row[row-index='0'] [col-id='predicted']")).to_have_text("–")
    expect(page.locator("#houses-feed-grid .ag-row[row-index='1'] [col-id='off']")).to_have_text(
        f"{first / 500_000 - 1:+.1%}".replace("-", "−")
    )
    publish(factor=2.0)
    expect(shown).to_have_text(f"${second:,.0f}", timeout=5_000)
    page.goto("/models")
    expect(page.locator("#models-versions-table tr[data-live='true']")).to_have_attribute("data-version", "v0002")
    expect(page.locator("#models-versions-table tr[data-best='true']")).to_have_attribute("data-version", "v0001")
    Registry(PRICE_MODEL).rollback("twice too high")
    live = page.locator("#models-versions-table tr[data-live='true']")
    expect(live).to_have_attribute("data-version", "v0001", timeout=5_000)
    expect(page.locator("#models-kpi-live-value")).to_have_text("v0001")
    expect(page.locator("#models-switches-table tr[data-switch='v0001']").first).to_contain_text("twice too high")
    wait_until(page, "document.querySelector('#models-trend-lines .js-plotly-plot')?.data?.[0]?.x?.length == 2")


def test_the_pages_fit_a_phone(page: Page, publish: Publish) -> None:
    publish()
    widest = (
        "Math.max(...[...document.querySelectorAll('.tile, .kpi')].map(tile => tile.getBoundingClientRect().right))"
    )
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (f"/houses/price?id={HOUSE}", "/models", "/houses/map"):
        page.goto(path)
        expect(page.locator(".tile[data-state='ready']").first).to_be_visible()
        wait_until(page, f"{widest} <= 390 && document.documentElement.scrollWidth <= 390")
