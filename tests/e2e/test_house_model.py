"""The model, for real: trained, asked in three ways, and held to what houses for sale are then sold for."""

import csv
import io
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser

from jobs.houses.schema import DOMAIN
from lakehouse import topics
from tests.e2e.running import Platform, dashboard_at, keep_screenshot, read_topic, rows_of, wait_for

pytestmark = pytest.mark.e2e
SOLD = 40


@pytest.fixture(scope="module")
def trained(platform: Platform) -> Platform:
    """A lake with data sets and a trained model."""
    topics.ensure(platform.bootstrap_servers, DOMAIN.topics)
    platform.run("build_datasets.py", "--load")
    assert "v0001 published" in platform.run("train.py")
    assert platform.run("train.py", "--if-none") == "", "there is a model already"
    return platform


@pytest.fixture(scope="module")
def dashboard(trained: Platform) -> Iterator[str]:
    """The dashboard's address."""
    with dashboard_at(trained) as url:
        yield url


def withheld(platform: Platform) -> dict[str, float]:
    """What the houses for sale will be sold for, by id; of a house listed twice, the later listing."""
    rows = pq.read_table(platform.var / "data/houses/for_sale_prices.parquet").sort_by("listed_at").to_pylist()
    return {row["id"]: float(row["price"]) for row in rows}


def lake(platform: Platform, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "lake"), *arguments]
    return subprocess.run(command, env=platform.env, capture_output=True, text=True, check=False, timeout=60)


def ask(url: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an address."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_three_ways_give_one_price(trained: Platform, dashboard: str) -> None:
    houses = sorted(withheld(trained))[:3]
    printed = trained.run("predict.py", *houses, "--csv")
    by_spark = {row["id"]: float(row["price"]) for row in csv.DictReader(io.StringIO(printed))}
    assert set(by_spark) == set(houses)
    for house, price in by_spark.items():
        status, told = ask(f"{dashboard}/api/houses/{house}/price")
        assert status == 200
        assert told["price"] == pytest.approx(price, rel=1e-6)
        by_command = json.loads(lake(trained, "price", house, "--json").stdout)
        assert by_command == told
    status, told = ask(f"{dashboard}/api/houses/{houses[0]}x/price")
    assert (status, bool(told["nearest"])) == (404, True)


def test_a_house_for_sale_is_sold_and_its_error_is_known(trained: Platform, dashboard: str, browser: Browser) -> None:
    prices = {row["id"]: row["price"] for row in rows_of(trained, "prices")}
    before = len(read_topic(trained.bootstrap_servers, "houses", 4))
    stream = trained.job("stream.py", "--query", "history")
    try:
        trained.run("produce.py", "--from", "for-sale", "--count", str(SOLD), "--rate", "100", "--seed", "3")
        records = read_topic(trained.bootstrap_servers, "houses", 4)
        assert len(records) == before + SOLD
        wait_for(lambda: read_so_far(trained) == len(records), 120, "the history")
    finally:
        stream.send_signal(signal.SIGTERM)
        assert stream.wait(90) == 0
    first: dict[str, float] = {}
    sales = [json.loads(message.value()) for message in records if message.key() and message.key().decode() in prices]
    for sale in sorted(sales, key=lambda sale: sale["sold_at"]):
        first.setdefault(sale["id"], sale["price"])
    assert len(first) >= SOLD - 3
    expected = sum(abs(prices[house] / price - 1) for house, price in first.items()) / len(first)
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(f"{dashboard}/models")
    row = page.wait_for_selector("#models-live-error-rows tr[data-version='v0001']", timeout=60_000)
    assert row is not None
    cells = row.eval_on_selector_all(
        "td[data-field]", "cells => cells.map(cell => [cell.dataset.field, cell.dataset.value])"
    )
    told = dict(cells)
    assert int(told["sales"]) == len(first)
    assert float(told["mape"]) == pytest.approx(expected, rel=1e-9)
    keep_screenshot(page, "e2e-models")


def read_so_far(platform: Platform) -> int:
    """How many records of the topic are in the history or the dead letters."""
    in_history = sum(row["source"] == "stream" for row in rows_of(platform, "history"))
    return in_history + len(rows_of(platform, "dead_letters"))


def test_a_rollback_reaches_the_page_within_seconds(trained: Platform, dashboard: str, browser: Browser) -> None:
    house = sorted(withheld(trained))[0]
    assert "v0002" in trained.run("train.py")
    wait_for(lambda: ask(f"{dashboard}/api/houses/{house}/price")[1]["version"] == "v0002", 30, "the switch")
    page = browser.new_page()
    page.goto(f"{dashboard}/models")
    page.wait_for_selector("tr[data-version='v0002'][data-live='true']")
    done = lake(trained, "models", "rollback", "--reason", "the test says so")
    assert done.returncode == 0, done.stderr
    page.wait_for_selector("tr[data-version='v0001'][data-live='true']", timeout=30_000)
    assert ask(f"{dashboard}/api/houses/{house}/price")[1]["version"] == "v0001"
    assert "the test says so" in lake(trained, "models", "show", "v0001").stdout
