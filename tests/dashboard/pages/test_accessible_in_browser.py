"""Every page for everyone: controls have names and are reached by Tab, text stands out, times say their zone."""

import re

import pytest
from playwright.sync_api import Page, expect

from dashboard.pages.discovery import listed_pages
from tests.browser import without_zone
from tests.dashboard.golden import SOLD
from tests.dashboard.served import settled, wait_until

pytestmark = pytest.mark.e2e
PATHS = [page.PATH for page in listed_pages()] + [f"/houses/house/{SOLD}", f"/houses/price?id={SOLD}"]

NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, select, [role=slider], [role=combobox]')]
  .filter(box => box.checkVisibility() && box.type !== 'hidden' && box.getAttribute('aria-hidden') !== 'true')
  .filter(box => !(box.getAttribute('aria-label') || box.getAttribute('aria-labelledby') || box.labels?.length
    || box.textContent.trim() || box.title || box.closest('.js-plotly-plot, [data-grid]')))
  .map(box => box.outerHTML.slice(0, 200))"""

# Marks what Tab comes to. Of a group of radios one is enough, the arrow keys move within it; Plotly's own buttons and
# the inside of AG Grid, which has keys of its own, are left out.
CONTROLS = """() => {
  const all = [...document.querySelectorAll('button, a[href], input, select, summary, [role=slider], [tabindex="0"]')];
  const meant = all.filter(box => box.checkVisibility({ visibilityProperty: true }) && !box.disabled
    && box.tabIndex >= 0 && box.type !== 'hidden' && box.type !== 'radio'
    && !box.closest('.js-plotly-plot, [data-grid], [aria-hidden=true]') && box.getClientRects().length);
  meant.forEach((box, number) => { box.dataset.tab = number; });
  return meant.length;
}"""
REACHED = """() => {
  const at = document.activeElement;
  const style = getComputedStyle(at);
  const ringed = style.outlineStyle !== 'none' || style.boxShadow !== 'none'
    || getComputedStyle(at.parentElement).outlineStyle !== 'none'
    || getComputedStyle(at.closest('.mantine-MultiSelect-input') || at).outlineStyle !== 'none';
  const inside = !at.closest('.js-plotly-plot, [data-grid]') && at !== document.body;
  if (inside && !ringed) at.dataset.ringless = '1';
  delete at.dataset.tab;
  return [...document.querySelectorAll('[data-tab]')].length;
}"""
LEFT = "() => [...document.querySelectorAll('[data-tab]')].map(box => box.outerHTML.slice(0, 160))"
RINGLESS = "() => [...document.querySelectorAll('[data-ringless]')].map(box => box.outerHTML.slice(0, 160))"

# Text whose contrast with what lies behind it (WCAG 2) is too low: the ratio, the colours, the text.
FAINT = """() => {
  const parsed = (text) => {
    const n = (text.match(/[\\d.]+/g) || []).map(Number);
    const of = text.startsWith('color(') ? 255 : 1; // color-mix() gives shares
    return [n[0] * of, n[1] * of, n[2] * of, n[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => [0.2126, 0.7152, 0.0722].map((share, i) => { const v = c[i] / 255;
    return share * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }).reduce((a, b) => a + b);
  const ground = (box) => {
    const layers = [];
    for (let at = box; at; at = at.parentElement) layers.unshift(parsed(getComputedStyle(at).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), box = walker.currentNode.parentElement;
    if (!text || !box.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (box.closest('script, style, noscript, [aria-hidden=true], :disabled, .modebar')) continue;
    if (!box.getClientRects().length) continue;
    const svg = box.closest('svg'), style = getComputedStyle(box);
    const below = ground(svg ? svg.parentElement : box), ink = parsed(svg ? style.fill : style.color);
    if (svg && style.fill.startsWith('url')) continue;
    let shown = 1;
    for (let at = box; at; at = at.parentElement) shown *= Number(getComputedStyle(at).opacity);
    ink[3] *= shown;
    const [a, b] = [light(over(ink, below)), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const ink_of = svg ? style.fill : style.color;
    const called = `${ink_of} on ${below.slice(0, 3)} ${box.className.baseVal ?? box.className}`;
    if (ratio < 4.5) found.set(`${ratio.toFixed(2)} ${called}`, text.slice(0, 40));
  }
  return Object.fromEntries(found);
}"""


@pytest.mark.parametrize("path", PATHS)
def test_every_control_has_a_name_and_tab_reaches_all_with_a_ring(looker: Page, path: str) -> None:
    looker.goto(path)
    settled(looker)
    assert looker.evaluate(NAMELESS) == []
    left = looker.evaluate(CONTROLS)
    assert left > 10
    for _ in range(left + 60):  # some more: what lies within charts and grids
        looker.keyboard.press("Tab")
        if not looker.evaluate(REACHED):
            break
    assert looker.evaluate(LEFT) == []
    assert looker.evaluate(RINGLESS) == []


@pytest.mark.parametrize("path", PATHS)
def test_text_stands_out_from_its_ground_in_both_themes(looker: Page, path: str) -> None:
    for theme in ("light", "dark"):
        looker.goto(f"{path}{'&' if '?' in path else '?'}theme={theme}")
        settled(looker)
        wait_until(looker, f"document.documentElement.dataset.mantineColorScheme === '{theme}'")
        assert looker.evaluate(FAINT) == {}, theme


@pytest.mark.parametrize("path", [*PATHS, "/houses?shape=multiples&range=24h"])
def test_a_time_says_that_it_is_in_utc_wherever_the_browser_is(looker: Page, path: str) -> None:
    looker.goto(path)
    settled(looker)
    assert looker.evaluate("new Date(0).getTimezoneOffset()") == -330
    looker.wait_for_timeout(300)  # figures are drawn after their data has come
    assert without_zone(looker) == []
    if path.startswith("/houses?"):
        expect(looker.locator("#houses-windows .as-of")).to_have_text(re.compile(r"^as of \d\d:\d\d:\d\d UTC"))
        noon = "#houses-windows-table tr[data-window='2026-05-01T12:00:00+00:00'] [data-field='window_start']"
        expect(looker.locator(noon).first).to_have_text("12:00:00")
        expect(looker.locator("#houses-windows .x2tick").first).to_contain_text("UTC")
