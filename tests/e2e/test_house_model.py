"""The model, for real: trained, asked in three ways, and held to what houses for sale are then sold for."""

import csv
import io
import json
import os
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
from playwright.sync_api import Browser, sync_playwright

from jobs.houses.schema import DOMAIN
from lakehouse import topics
from lakehouse.broker import free_port
from lakehouse.settings import ROOT
from tests.browser import launch
from tests.conftest import running_broker
from tests.e2e.test_houses import Platform, answers, read_topic, rows_of, wait_for

pytestmark = pytest.mark.e2e
SOLD = 40


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty broker: this test counts what is on the topic."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="module")
def platform(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A lake with data sets and a trained model; its topic may hold other tests' sales."""
    var = tmp_path_factory.mktemp("model") / "var"
    found = Platform(broker, var, {**os.environ, "LAKE_VAR": str(var), "LAKE_BOOTSTRAP_SERVERS": broker})
    topics.ensure(broker, DOMAIN.topics)
    found.run("build_datasets.py", "--load")
    assert "v0001 published" in found.run("train.py")
    assert found.run("train.py", "--if-none") == "", "there is a model already"
    return found


@pytest.fixture(scope="module")
def dashboard(platform: Platform) -> Iterator[str]:
    """The dashboard's address."""
    port = free_port()
    command = [sys.executable, "-m", "dashboard.app", "--port", str(port)]
    app = subprocess.Popen(command, env=platform.env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), 60, "the dashboard's answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        app.terminate()
        app.wait(20)


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


def test_three_ways_give_one_price(platform: Platform, dashboard: str) -> None:
    houses = sorted(withheld(platform))[:3]
    printed = platform.run("predict.py", *houses, "--csv")
    by_spark = {row["id"]: float(row["price"]) for row in csv.DictReader(io.StringIO(printed))}
    assert set(by_spark) == set(houses)
    for house, price in by_spark.items():
        status, told = ask(f"{dashboard}/api/houses/{house}/price")
        assert status == 200
        assert told["price"] == pytest.approx(price, rel=1e-6)
        by_command = json.loads(lake(platform, "price", house, "--json").stdout)
        assert by_command == told
    status, told = ask(f"{dashboard}/api/houses/{houses[0]}x/price")
    assert (status, bool(told["nearest"])) == (404, True)


def test_a_house_for_sale_is_sold_and_its_error_is_known(platform: Platform, dashboard: str, browser: Browser) -> None:
    prices = {row["id"]: row["price"] for row in rows_of(platform, "prices")}
    before = len(read_topic(platform.bootstrap_servers, "houses", 4))
    stream = platform.job("stream.py", "--query", "history")
    try:
        platform.run("produce.py", "--from", "for-sale", "--count", str(SOLD), "--rate", "100", "--seed", "3")
        records = read_topic(platform.bootstrap_servers, "houses", 4)
        assert len(records) == before + SOLD
        wait_for(lambda: read_so_far(platform) == len(records), 120, "the history")
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
    page.screenshot(path=kept("e2e-models.png"), full_page=True)


def read_so_far(platform: Platform) -> int:
    """How many records of the topic are in the history or the dead letters."""
    in_history = sum(row["source"] == "stream" for row in rows_of(platform, "history"))
    return in_history + len(rows_of(platform, "dead_letters"))


def kept(name: str) -> Path:
    folder = ROOT / "var/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def test_a_rollback_reaches_the_page_within_seconds(platform: Platform, dashboard: str, browser: Browser) -> None:
    house = sorted(withheld(platform))[0]
    assert "v0002" in platform.run("train.py")
    wait_for(lambda: ask(f"{dashboard}/api/houses/{house}/price")[1]["version"] == "v0002", 30, "the switch")
    page = browser.new_page()
    page.goto(f"{dashboard}/models")
    page.wait_for_selector("tr[data-version='v0002'][data-live='true']")
    done = lake(platform, "models", "rollback", "--reason", "the test says so")
    assert done.returncode == 0, done.stderr
    page.wait_for_selector("tr[data-version='v0001'][data-live='true']", timeout=30_000)
    assert ask(f"{dashboard}/api/houses/{house}/price")[1]["version"] == "v0001"
    assert "the test says so" in lake(platform, "models", "show", "v0001").stdout


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield launch(playwright)
