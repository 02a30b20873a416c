"""The map in a real browser: its filters, an area drawn on it, and what ticks leave alone."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from dashboard.pages.houses import map_area, map_view, pricing
from dashboard.pages.houses.map_view import Shown
from jobs.houses import schema
from tests.dashboard.served import App, beats, drag, wait_until
from tests.jobs.houses.price_model import fitting
from tests.waiting import wait_for

pytestmark = pytest.mark.e2e
Publish = Callable[..., str]
Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]
HOUSE = str(fitting.real_houses().ids[7])
TILES = ("price-answer", "price-what-if", "price-contributions", "price-comparables")


LONELIEST = """graph => {
  const trace = graph._fullData[3], map = graph._fullLayout.map._subplot.map, places = [];
  for (let n = 0; n < trace.lat.length; n++) places.push(map.project([trace.lon[n], trace.lat[n]]));
  const { clientWidth: width, clientHeight: height } = map.getCanvas();
  const inside = (p) => p.x > 20 && p.y > 20 && p.x < width - 20 && p.y < height - 20;
  const alone = (p) => Math.min(...places.filter((q) => q !== p).map((q) => Math.hypot(p.x - q.x, p.y - q.y)));
  const best = places.filter(inside).reduce((a, b) => (alone(a) > alone(b) ? a : b));
  const box = map.getCanvas().getBoundingClientRect();
  return [box.x + best.x, box.y + best.y, trace.customdata[places.indexOf(best)]];
}"""


def test_the_map_filters_and_a_click_leads_to_the_price(app: App, page: Page, publish: Publish) -> None:
    publish()
    page.set_viewport_size({"width": 1440, "height": 1400})  # a point below the fold cannot be clicked
    page.goto("/houses/map")
    expect(page.locator("#map-caption")).to_contain_text("sold, 0 not sold yet, 50 for sale")
    graph = "document.querySelector('#map-points .js-plotly-plot')"
    wait_until(page, f"{graph}?.data?.length == 4")
    page.locator("#map-show label", has_text="For sale").click()
    expect(page.locator("#map-caption")).to_have_text("50 houses: 0 sold, 0 not sold yet, 50 for sale")
    expect(page).to_have_url(f"{app.url}/houses/map?show=for-sale")
    wait_until(page, f"{graph}.data[3]?.customdata?.length == 50")
    map_ready(page)
    page.wait_for_timeout(2_000)  # the map draws in a worker
    x, y, house = page.locator("#map-points .js-plotly-plot").evaluate(LONELIEST)
    page.mouse.move(x - 1, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)
    expect(page).to_have_url(f"{app.url}/houses/price?id={house}")
    expect(page.locator("#price-answer")).to_have_attribute("data-state", "ready")


def kpi(page: Page, name: str, value: float) -> None:
    shown = page.locator(f"#map-kpi-{name}-value [data-value]")
    expect(shown).to_have_attribute("data-value", re.compile(rf"^{re.escape(str(value))}$"))


def map_ready(page: Page) -> None:
    graph = "document.querySelector('#map-points .js-plotly-plot')"
    wait_until(page, f"{graph}?.data?.length == 4 && !!{graph}._fullLayout.map?._subplot?.map?.isStyleLoaded()", 90)


def asked_area(page: Page) -> str:
    """The area in the address."""
    return parse_qs(urlsplit(page.url).query).get("area", [""])[0]


def left_by(page: Page, zipcode: str = "") -> Shown:
    """What the filters of the address leave, by the functions that the page's numbers rest on."""
    everything = map_view.houses(pricing.PricingCache().catalogue(), map_view.ALL, zipcode)
    return map_area.narrowed(everything, asked_area(page))


def numbers_are(page: Page, left: Shown) -> None:
    kpi(page, "houses", len(left.ids))
    kpi(page, "median", float(np.median(left.prices)))
    kpi(page, "sold", int((left.kinds == map_view.SOLD).sum()))
    kpi(page, "for-sale", int((left.kinds == map_view.FOR_SALE).sum()))
    expect(page.locator("#map-table tbody tr")).to_have_count(min(len(left.ids), map_view.TABLE_ROWS))


BOX = [(0.4, 0.3), (0.7, 0.6)]
OUTLINE = [(0.4, 0.3), (0.7, 0.3), (0.6, 0.7), (0.4, 0.6), (0.4, 0.3)]


@pytest.mark.parametrize(("mode", "corners"), [("Box", BOX), ("Outline", OUTLINE)])
def test_an_area_drawn_on_the_map_narrows_the_page_and_survives_ticks(
    page: Page, publish: Publish, write: Write, sale: Build, mode: str, corners: list[tuple[float, float]]
) -> None:
    publish()
    page.set_viewport_size({"width": 1440, "height": 1400})
    page.goto("/houses/map")
    map_ready(page)
    numbers_are(page, left_by(page))
    expect(page.locator("#map-clear")).to_be_hidden()
    page.locator("#map-drag label", has_text=mode).click()
    drag(page, "#map-points .js-plotly-plot", corners)
    expect(page).to_have_url(re.compile(r"/houses/map\?area=-12[12]"))
    left = left_by(page)
    assert 0 < len(left.ids) < 600
    numbers_are(page, left)
    assert page.locator(".select-outline").count() == 0  # the veil tells it, and moves with the map
    veiled = "document.querySelector('#map-points .js-plotly-plot').layout.map.layers.length == 2"
    wait_until(page, veiled)
    for number in range(3):
        write(schema.HISTORY, sale(number))
        page.wait_for_timeout(1_500)
    numbers_are(page, left)
    page.reload()
    numbers_are(page, left)
    map_ready(page)
    wait_until(page, veiled)
    page.locator("#map-clear").click()
    expect(page).to_have_url(re.compile(r"/houses/map$"))
    numbers_are(page, left_by(page))
    expect(page.locator("#map-clear")).to_be_hidden()
    wait_until(page, veiled.replace("== 2", "== 0"))


def test_zip_code_and_visible_part_narrow_the_page_by_keyboard(app: App, page: Page, publish: Publish) -> None:
    publish()
    found = pricing.PricingCache().catalogue()
    page.goto("/houses/map")
    map_ready(page)
    zipcode = "98103"
    page.locator("#map-zip").focus()
    page.keyboard.type(zipcode)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{app.url}/houses/map?zip={zipcode}")
    numbers_are(page, map_view.houses(found, map_view.ALL, zipcode))
    page.locator("#map-visible").press("Enter")
    expect(page).to_have_url(re.compile(rf"/houses/map\?zip={zipcode}&area=-122"))
    numbers_are(page, left_by(page, zipcode))
    page.locator("#map-clear").press("Enter")
    expect(page).to_have_url(f"{app.url}/houses/map")
    numbers_are(page, left_by(page))


def test_an_area_that_is_none_falls_back_with_a_notice(page: Page, publish: Publish) -> None:
    publish()
    page.goto("/houses/map?area=here&zip=1&show=castles")
    expect(page.locator("#map-notice")).to_contain_text("show=castles, zip=1, area=here")
    everything = map_view.houses(pricing.PricingCache().catalogue(), map_view.ALL, "")
    kpi(page, "houses", len(everything.ids))


def test_the_map_is_not_sent_again_by_ticks(page: Page, publish: Publish, write: Write, sale: Build) -> None:
    publish()
    page.goto("/houses/map")
    wait_until(page, "document.querySelector('#map-points .js-plotly-plot')?.data?.length > 1")
    statuses: list[int] = []
    page.on(
        "response", lambda response: statuses.append(response.status) if "update-component" in response.url else None
    )
    write(schema.HISTORY, sale(1))
    wait_for(lambda: beats(page, 1) or len(statuses) >= 2)
    assert set(statuses) == {204}  # asked, and nothing sent
