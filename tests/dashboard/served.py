"""The dashboard as a process, for tests in a browser."""

import json
import multiprocessing
import os
import pkgutil
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Page

import dashboard.pages
from lakehouse.settings import settings

# Every dashboard is a process of its own, forked from one that has imported what it needs and done nothing else: to
# import takes longer than most tests.
_PAGES = [module.name for module in pkgutil.walk_packages(dashboard.pages.__path__, "dashboard.pages.")]
_STARTER = multiprocessing.get_context("forkserver")
_STARTER.set_forkserver_preload(["dashboard.app", *_PAGES, "tests.dashboard.served"])


def _serve(environment: dict[str, str], port: int, output: Connection) -> None:
    """What `python -m dashboard.app --port <port>` does, with its output in `output`."""
    os.dup2(output.fileno(), 1)
    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    from dashboard import app

    app.main("127.0.0.1", port)


class App:
    """The dashboard as its own process; it can be ended and started again on the same port."""

    def __init__(self, var: Path, **environment: str) -> None:
        self._environment = {"LAKE_VAR": str(var)} | environment
        self.port = 0
        self.was_away = False
        self.start()

    def start(self) -> None:
        receiver, sender = _STARTER.Pipe(duplex=False)
        environment = dict(os.environ) | self._environment
        self.process = _STARTER.Process(target=_serve, args=(environment, self.port, sender), daemon=True)
        self.process.start()
        sender.close()
        self._output = os.fdopen(os.dup(receiver.fileno()))
        receiver.close()
        self.port = int(self._output.readline().rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> int | None:
        """End it as `lake down` does; its exit code."""
        self.was_away = True
        self.process.terminate()
        self.process.join(timeout=10)
        return self.process.exitcode

    def kill(self) -> None:
        """End it without asking."""
        self.was_away = True
        self.process.kill()
        self.process.join()


def wait_until(page: Page, condition: str, seconds: float = 30) -> None:
    """Poll a condition; Playwright's wait_for_function would evaluate a string, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not true within {seconds} s: {condition}"
        page.wait_for_timeout(100)


SETTLED = "!document.querySelector('[data-state=loading]') && !!document.querySelector('.tile, .kpi')"


def settled(page: Page) -> None:
    """Wait until no tile is loading any more."""
    wait_until(page, SETTLED)


def beats(page: Page, number: int) -> None:
    """Wait for so many answers to the page's poll."""
    for _ in range(number):
        with page.expect_response(lambda response: response.url.endswith("/beat")):
            pass


def version(app: App) -> str:
    """Of the dashboard's snapshot."""
    with urlopen(f"{app.url}/beat") as response:
        return str(json.load(response)["version"])


def drag(page: Page, within: str, corners: Sequence[tuple[float, float]]) -> None:
    """Press the mouse at the first corner and lead it to the others, as shares of the width and height of a box."""
    box = page.locator(within).first.bounding_box()
    assert box is not None
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def is_local(url: str, app: App) -> bool:
    """Whether a request stays with the dashboard."""
    return url.startswith((app.url, "data:", "blob:"))
