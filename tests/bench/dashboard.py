"""The dashboard over a lake that is written to: tabs that poll every 2 s, and the first paint in a browser."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, sync_playwright

from jobs.houses import schema
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from lakehouse.settings import ROOT, settings
from lakehouse.tables import table_io
from tests.browser import launch
from tests.dashboard.pages.health import health_fakes
from tests.dashboard.tab import Tab, Tick
from tests.jobs.houses.price_model import fitting

PERIOD = 2.0
WINDOW = timedelta(minutes=2)
DECADES = range(1900, 2020, 10)
HISTORY_ROWS, DEAD_ROWS, SALES_A_SECOND = 20_000, 2_000, 20
# Address and time range of each tab: what a team would have open.
TABS = [
    *[("/houses", "1h")] * 6,
    *[("/houses", "24h")] * 2,
    ("/houses?shape=multiples", "6h"),
    *[("/", "1h")] * 3,
    *[("/health-ui", "1h")] * 3,
    ("/health-ui", "24h"),
    ("/models?domain=houses", "1h"),
    ("/houses/map", "1h"),
    (f"/houses/price?id={fitting.real_houses().ids[7]}", "1h"),
    (f"/houses/house/{fitting.real_houses().ids[7]}", "1h"),
]


class Writer:
    """A day of house sales, and more of them every second; what drivers leave on disk is written beside."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self._ids = [str(house) for house in fitting.real_houses().ids]
        self._offsets, self._batch = count(), 0
        fitting.publish(Registry(PRICE_MODEL))
        self._history = table_io.create(schema.HISTORY)
        self._averages = table_io.create(schema.AVERAGES)
        self._dead = table_io.create(schema.DEAD_LETTERS)
        table_io.append(self._history, self._sales(HISTORY_ROWS), "bench", 0)
        table_io.append(self._dead, self._dead_letters(DEAD_ROWS), "bench", 0)
        start = self.now.replace(minute=self.now.minute // 2 * 2, second=0) - timedelta(hours=24)
        windows = [start + number * WINDOW for number in range(721)]
        table_io.append(self._averages, self._rows(windows, 2), "bench", 0)
        self._drivers()
        for query in schema.DOMAIN.queries:
            day = [(ago, {"input": 20.0, "processed": 400.0, "seconds": 0.4, "lag": 7}) for ago in range(86_400, 0, -5)]
            health_fakes.history(f"houses.{query}", iter(day))
            health_fakes.history(f"houses.{query}.lag", iter(day))

    def step(self) -> None:
        """A second of sales: history, one window of averages, now and then a dead letter, the drivers' files."""
        self._batch += 1
        table_io.append(self._history, self._sales(SALES_A_SECOND), "bench", self._batch)
        now = datetime.now(UTC).replace(microsecond=0)
        window = now.replace(minute=now.minute // 2 * 2, second=0)
        table_io.upsert(self._averages, self._rows([window], self._batch), schema.AVERAGES.keys, "bench", self._batch)
        if self._batch % 5 == 0:
            table_io.append(self._dead, self._dead_letters(1), "bench", self._batch)
        if self._batch % 60 == 0:
            for table in (self._history, self._averages, self._dead):
                table_io.maintain(table)
        self._drivers()

    def _drivers(self) -> None:
        for query in schema.DOMAIN.queries:
            health_fakes.checkpoint(query, self._batch, {"houses": {"0": self._batch * SALES_A_SECOND}})
            health_fakes.progress(query, timestamp=datetime.now(UTC).isoformat())

    def _sales(self, number: int) -> Any:
        at = datetime.now(UTC)
        rows = [
            {
                "id": self._ids[offset % len(self._ids)],
                "price": Decimal(f"{300_000 + offset % 400_000}.00"),
                **{"yr_built": 1900 + offset % 115, "bedrooms": 3, "bathrooms": 2.5, "sqft_living": 1800},
                **{"zipcode": 98103, "event_at": at, "source": "stream", "event_id": str(offset)},
                **{"topic": "houses", "partition": 0, "offset": offset, "recorded_at": at},
            }
            for offset, _ in zip(self._offsets, range(number), strict=False)
        ]
        return table_io.rows(schema.HISTORY, rows)

    def _dead_letters(self, number: int) -> Any:
        at = datetime.now(UTC)
        rows = [
            {"topic": "houses", "partition": 1, "offset": offset, "recorded_at": at, "reason": f"reason {offset % 7}"}
            | {"value": b"x" * 200}
            for offset, _ in zip(self._offsets, range(number), strict=False)
        ]
        return table_io.rows(schema.DEAD_LETTERS, rows)

    def _rows(self, windows: list[datetime], sales: int) -> Any:
        rows = [
            {
                **{"window_start": start, "window_end": start + WINDOW, "decade": decade, "sales": sales},
                **{"avg_price": 400_000.0 + decade, "sum_cents": 100 * sales * (400_000 + decade)},
                **{"is_final": len(windows) > 1, "generation": "g", "batch_id": sales, "updated_at": start},
            }
            for start in windows
            for decade in DECADES
        ]
        return table_io.rows(schema.AVERAGES, rows)


@contextmanager
def written_to() -> Iterator[Path]:
    """A lake in a folder of its own that is written to every second, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder:
        os.environ["LAKE_VAR"] = f"{folder}/var"
        settings.cache_clear()
        stop, writer = threading.Event(), Writer()

        def write() -> None:
            while not stop.wait(1.0):
                writer.step()

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield Path(folder) / "var"
        finally:
            stop.set()
            thread.join()
            del os.environ["LAKE_VAR"]
            settings.cache_clear()


@contextmanager
def served() -> Iterator[tuple[str, psutil.Process]]:
    """The dashboard over that lake: its address and its process."""
    command = [sys.executable, "-m", "dashboard.app", "--port", "0"]
    app = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert app.stdout is not None
    try:
        yield app.stdout.readline().split(" ", 1)[1].strip(), psutil.Process(app.pid)
    finally:
        app.terminate()
        app.wait(20)


def tabs(seconds: float) -> dict[str, Any]:
    """Twenty tabs for so long, after a warm-up: their ticks, the dashboard's memory over time, the cores it took."""
    with written_to(), served() as (url, process):
        stop = threading.Event()
        found: list[tuple[str, Tick]] = []
        threads = [
            threading.Thread(target=_poll, args=(url, *tab, PERIOD * number / len(TABS), found, stop))
            for number, tab in enumerate(TABS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(min(60.0, seconds / 3))
        warm, began, used = len(found), _pss(process), process.cpu_times()
        at = time.monotonic()
        memory = [began]
        while time.monotonic() - at < seconds:
            time.sleep(min(30.0, seconds / 4))
            memory.append(_pss(process))
        lasted, now = time.monotonic() - at, process.cpu_times()
        stop.set()
        for thread in threads:
            thread.join()
        cores = (now.user + now.system - used.user - used.system) / lasted
        return {"ticks": found[warm:], "pss_mb": memory, "cores": cores}


def _poll(url: str, address: str, span: str, wait: float, found: list[tuple[str, Tick]], stop: threading.Event) -> None:
    stop.wait(wait)
    tab = Tab(url, address, span=span)
    due = time.monotonic()
    while not stop.is_set():
        found.append((f"{address.split('?', 1)[0]} {span}", tab.tick()))
        due += PERIOD
        stop.wait(max(0.0, due - time.monotonic()))


def _pss(process: psutil.Process) -> float:
    return float(round(process.memory_full_info().pss / 1e6, 1))


PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
READY = "!document.querySelector('[data-state=loading]') && document.querySelector('.tile, .kpi') && performance.now()"


def first_paint() -> dict[str, dict[str, float]]:
    """Milliseconds until each page shows something, and until no tile is loading, in a browser with an empty cache."""
    pages = dict.fromkeys(address for address, _ in TABS)
    with written_to(), served() as (url, _process), sync_playwright() as playwright:
        browser = launch(playwright)
        _opened(browser, f"{url}/houses")  # the first question of all finds a cold server
        return {address.split("?")[0]: _opened(browser, url + address) for address in pages}


def _opened(browser: Browser, address: str) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address, wait_until="commit")
    end, ready = time.monotonic() + 60, False
    while not ready:
        assert time.monotonic() < end, f"{address} is not ready after 60 s"
        ready = page.evaluate(READY)
        page.wait_for_timeout(20)
    painted = page.evaluate(PAINTED)
    page.close()
    return {"painted": float(painted), "ready": float(ready)}
