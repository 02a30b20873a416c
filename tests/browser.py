"""The browser for tests: an installed Chromium or Chrome, else Playwright's own."""

import os
import shutil

import pytest
from playwright.sync_api import Browser, Error, Page, Playwright

INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Neither UTC nor the zone that CI runs in, and half an hour off the others: nothing on a page may rest on it.
ZONE = "Asia/Kolkata"


def launch(playwright: Playwright) -> Browser:
    """A headless browser in that zone. Where there is none the test is skipped, with a sentence; in CI it fails."""
    installed = next(filter(None, map(shutil.which, INSTALLED)), None)
    try:
        return playwright.chromium.launch(executable_path=installed, args=FLAGS, env={**os.environ, "TZ": ZONE})
    except Error as error:
        sentence = (
            "No browser for this test: install Chromium (`apt install chromium`) or run `playwright install chromium`."
        )
        if os.environ.get("LAKE_REQUIRE_BROWSER") or os.environ.get("CI"):
            raise AssertionError(sentence) from error
        pytest.skip(sentence)


# A time of day says UTC itself, or the head of its column or one of its axis' labels does.
_WITHOUT_ZONE = r"""() => {
  const said = (node) => (node ? node.textContent : '').includes('UTC');
  const heading = (el) => {
    const cell = el.closest('td'), grid = el.closest('.ag-cell'), tick = el.closest('g[class$="tick"]');
    if (cell) return cell.closest('table').tHead.rows[0].cells[cell.cellIndex];
    if (grid) return grid.closest('.ag-root').querySelector(`.ag-header-cell[col-id="${grid.getAttribute('col-id')}"]`);
    return tick && tick.parentNode;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent, el = texts.currentNode.parentElement;
    if (!/\b\d\d:\d\d/.test(text) || text.includes('UTC') || el.closest('script, style')) continue;
    if (!said(heading(el))) found.push(text);
  }
  return found;
}"""


def without_zone(page: Page) -> list[str]:
    """The times of day on a page that do not say that they are in UTC."""
    found: list[str] = page.evaluate(_WITHOUT_ZONE)
    return found
