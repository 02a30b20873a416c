"""The list of sales on Houses, read from the topic: no stream runs here, so no table ever has any of them."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser, Page, expect

from dashboard.live.event_list import ROWS
from jobs.houses.schema import SALES
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.kafka import topics
from tests.dashboard.served import App
from tests.waiting import wait_for

pytestmark = pytest.mark.e2e
FACTS = {"price": 450_000, "yr_built": 1994, "bedrooms": 3, "bathrooms": 2.5, "sqft_living": 1800}
FACTS |= {"sqft_lot": 5000, "floors": 2, "waterfront": 0, "view": 0}
SOON = 30_000
KEYS = "(window.dash_ag_grid && (() => { const keys = []; window.dash_ag_grid.getApi('houses-feed-grid').forEachNode("
KEYS += "(node) => keys.push([node.data.key, node.data.recorded])); return keys; })())"


class Place:
    """A broker that can be ended and started again, and a dashboard over a lake in which nothing is."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "kafka.log").open("ab")
        self.kafka = Broker(folder / "kafka", port=0)
        self.kafka.start(self._log)
        address = {"LAKE_VAR": str(folder / "var"), "LAKE_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers}
        self.app = App(folder / "var", **(os.environ | address))

    def send(self, *houses: str, **changes: Any) -> None:
        """One sale of each house, now."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})
        at = {"sold_at": datetime.now(UTC).isoformat()}
        for house in houses:
            producer.produce(SALES.name, json.dumps({"id": house, **FACTS, **at, **changes}), house)
            producer.poll(0)
        assert producer.flush(60) == 0

    def end_broker(self) -> None:
        assert self.kafka.process is not None
        self.kafka.process.kill()
        self.kafka.process.wait(20)

    def start_broker(self) -> None:
        self.kafka.start(self._log)

    def remove_topic(self) -> None:
        admin = topics.admin(self.kafka.bootstrap_servers)
        admin.delete_topics([SALES.name])[SALES.name].result(20)
        wait_for(lambda: not topics.states(self.kafka.bootstrap_servers, [SALES.name]).ids)

    def create_topic(self) -> None:
        topics.ensure(self.kafka.bootstrap_servers, [SALES])

    def stop(self) -> None:
        self.app.kill()
        self.kafka.stop()
        self._log.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def page(place: Place, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=place.app.url)
    yield page
    page.close()


def newest_is(page: Page, house: str) -> None:
    """The list's first row is of this house."""
    first = page.locator("#houses-feed-grid .ag-row[row-index='0'] [col-id='id']")
    expect(first).to_have_text(house, timeout=SOON)


def read_from(page: Page, words: str) -> None:
    """Where the list says that it is read."""
    expect(page.locator("#houses-feed-grid-source")).to_contain_text(words, timeout=SOON)


def test_the_list_is_of_the_topic_whatever_becomes_of_it(place: Place, page: Page) -> None:
    page.goto("/houses")
    read_from(page, "The broker has no topic houses yet.")

    place.create_topic()
    read_from(page, "Read from the topic")
    place.send("first")
    newest_is(page, "first")
    expect(page.locator("#houses-feed")).to_have_attribute("data-state", "ready")
    assert page.locator("#houses-kpi-history-value").inner_text() == "0"  # what stands beside is of the tables

    place.send("invalid", price=-1)
    place.send("valid")
    newest_is(page, "valid")
    assert [key.rsplit("-", 1)[0][:7] for key, _at in page.evaluate(KEYS)] == ["houses-", "houses-"]

    place.end_broker()
    read_from(page, "Read from the history, some seconds after the topic has them: The Kafka broker does not answer.")
    newest_is(page, "valid")
    place.start_broker()
    place.send("after-the-broker")
    newest_is(page, "after-the-broker")
    read_from(page, "Read from the topic")

    place.remove_topic()
    place.create_topic()
    place.send("made-again")
    newest_is(page, "made-again")

    place.send(*(f"many-{number}" for number in range(20_000)))
    place.send("last")
    newest_is(page, "last")
    keys = page.evaluate(KEYS)
    assert len({key for key, _at in keys}) == len(keys) == ROWS
    assert [at for _key, at in keys] == sorted((at for _key, at in keys), reverse=True)
