"""Dashboard, broker and stream are killed in turn under an open page: the right pill soon, and no reload afterwards."""

import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser, Page, expect

from jobs.houses.schema import DOMAIN, SALES
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.kafka import topics
from tests.dashboard.served import App
from tests.e2e.running import Platform

pytestmark = pytest.mark.e2e
RULE_SECONDS = {"stream": 2.5, "broker": 2.0, "dashboard": 4.0}  # silence after which each counts as gone
SOON = 5.0  # seconds from there to the pill
FACTS = {"bedrooms": 3, "bathrooms": 2.5, "sqft_living": 1800, "sqft_lot": 5000, "floors": 2}
FACTS |= {"waterfront": 0, "view": 0}


class Running:
    """A broker, a stream and a dashboard over one lake, each of which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "kafka.log").open("ab")
        self.kafka = Broker(folder / "kafka", port=0)
        self.kafka.start(self._log)
        address = {"LAKE_VAR": str(folder / "var"), "LAKE_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers}
        self.platform = Platform(self.kafka.bootstrap_servers, folder / "var", os.environ | address)
        topics.ensure(self.kafka.bootstrap_servers, DOMAIN.topics)
        self.start_stream()
        self.app = App(folder / "var", **address)

    def start_stream(self) -> None:
        self.stream = self.platform.job("stream.py")

    def kill_stream(self) -> None:
        os.killpg(self.stream.pid, signal.SIGKILL)
        self.stream.communicate(timeout=20)

    def kill_broker(self) -> None:
        assert self.kafka.process is not None
        self.kafka.process.kill()
        self.kafka.process.wait(20)

    def start_broker(self) -> None:
        self.kafka.start(self._log)

    def send(self, *houses: str) -> None:
        """One sale of each house, now."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})
        for house in houses:
            sale = {"id": house, "price": 450_000, "yr_built": 1994, "event_id": uuid.uuid4().hex, **FACTS}
            producer.produce(SALES.name, json.dumps(sale | {"sold_at": datetime.now(UTC).isoformat()}), house)
        assert producer.flush(30) == 0

    def stop(self) -> None:
        self.app.kill()
        if self.stream.poll() is None:
            self.stream.send_signal(signal.SIGTERM)
            try:
                self.stream.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill_stream()
        self.kafka.stop()
        self._log.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All parts running, with one sale on its way."""
    parts = Running(tmp_path_factory.mktemp("recovers"))
    try:
        parts.send("first")
        yield parts
    finally:
        parts.stop()


@pytest.fixture
def page(running: Running, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=running.app.url)
    yield page
    page.close()


def pill(page: Page, word: str, why: str, seconds: float) -> None:
    """The pill says the word, and the reason with it, in time."""
    expect(page.locator("#status-pill")).to_contain_text(word, timeout=seconds * 1000)
    expect(page.locator("#status-pill")).to_have_attribute("title", re.compile(why), timeout=SOON * 1000)


def newest_is(page: Page, house: str) -> None:
    """The feed's first row is of this house."""
    first = page.locator("#houses-feed-grid .ag-row[row-index='0'] [col-id='id']")
    expect(first).to_have_text(house, timeout=60_000)


def test_a_topic_shows_its_last_messages(running: Running, page: Page) -> None:
    page.goto("/health-ui")
    expect(page.locator("#health-topics")).to_have_attribute("data-state", "ready", timeout=60_000)
    page.locator("#health-peek").click()
    shown = page.locator("#health-peek-body")
    expect(shown).to_contain_text('"id": "first"', timeout=20_000)
    running.send("<b>second</b>")
    page.locator("#health-peek").click()
    expect(shown).to_contain_text("<b>second</b>", timeout=20_000)
    assert page.locator("#health-peek-body b").count() == 0
    row = page.locator("#health-topics-table tr[data-topic='houses']")
    expect(row).to_contain_text("2", timeout=20_000)


def test_the_page_tells_how_long_sales_took_to_the_screen(running: Running, page: Page) -> None:
    page.goto("/houses")
    newest_is(page, "first")
    delay = page.locator("#houses-feed-grid-delay")
    for _ in range(5):  # a sale that comes after a slow tick is not counted
        running.send("timed")
        newest_is(page, "timed")
        page.wait_for_timeout(3000)
        if delay.text_content():
            break
    expect(delay).to_contain_text("seen here")
    assert 0 < float(delay.get_attribute("data-p95") or 0) < 60


def test_the_page_outlives_dashboard_broker_and_stream(running: Running, page: Page) -> None:
    page.goto("/houses?decade=1990")
    pill(page, "LIVE", "Up to date", 120)
    newest_is(page, "timed")
    page.evaluate("window.sameDocument = true")

    running.app.stop()
    pill(page, "OFFLINE", "does not answer", RULE_SECONDS["dashboard"] + SOON)
    running.app.start()
    pill(page, "LIVE", "Up to date", 30)

    running.kill_broker()
    pill(page, "STALE", "broker does not answer", RULE_SECONDS["broker"] + SOON)
    running.start_broker()
    pill(page, "LIVE", "Up to date", 60)
    running.send("after-the-broker")
    newest_is(page, "after-the-broker")

    running.kill_stream()
    pill(page, "STALE", "has stopped", RULE_SECONDS["stream"] + SOON)
    running.send("while-no-stream-ran")
    running.start_stream()
    pill(page, "LIVE", "Up to date", 120)
    newest_is(page, "while-no-stream-ran")
    assert page.evaluate("window.sameDocument") is True
    assert page.locator("#houses-windows-table tbody tr[data-decade='1990']").count() > 0
