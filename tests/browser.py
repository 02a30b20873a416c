"""The browser for tests: an installed Chromium or Chrome, else Playwright's own."""

import os
import shutil

import pytest
from playwright.sync_api import Browser, Error, Playwright

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


def launch(playwright: Playwright) -> Browser:
    """A headless browser. Where there is none the test is skipped with a sentence; in CI it fails instead."""
    installed = next(filter(None, map(shutil.which, INSTALLED)), None)
    try:
        return playwright.chromium.launch(executable_path=installed, args=FLAGS)
    except Error as error:
        sentence = (
            "No browser for this test: install Chromium (`apt install chromium`) or run `playwright install chromium`."
        )
        if os.environ.get("LAKE_REQUIRE_BROWSER") or os.environ.get("CI"):
            raise AssertionError(sentence) from error
        pytest.skip(sentence)
