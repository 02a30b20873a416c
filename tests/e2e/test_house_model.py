"""The model, for real: trained, asked in three ways, and compared with what houses for sale are then sold for."""

import csv
import io
import json
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser

from jobs.houses.price_model.pricer import Pricer
from lakehouse.core.files import write_private
from lakehouse.settings import settings
from tests.e2e.running import (
    Platform,
    keep_screenshot,
    lake_up,
    read_topic,
    rows_of,
    running,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.e2e
SOLD = 40
CANARY = 'S3CR3T-with-"quotes"-and-\\-ß-in-it'  # the password of this lake
HOLDERS = {"lake.password", "dashboard.token", "server.properties", "kafka-login.properties"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An empty lake started by `lake up`, with its own broker behind a login, until it has trained its first model."""
    var = tmp_path_factory.mktemp("lake") / "Lagoš é's" / "ß 1"
    write_private(var / "kafka/credentials/lake.password", CANARY)
    write_private(var / "dashboard.token", CANARY)
    with lake_up(var, "houses", "--no-produce", "--secure") as platform:
        wait_for(lambda: state_of(platform, "houses.train") == "finished", 480, "the first training")
        yield platform


@pytest.fixture(scope="module")
def dashboard(trained: Platform) -> str:
    """The dashboard's address."""
    return str(running(trained)["dashboard_url"])


def withheld(platform: Platform) -> dict[str, float]:
    """What the houses for sale will be sold for, by id; of a house listed twice, the later listing."""
    rows = pq.read_table(platform.var / "data/houses/for_sale_prices.parquet").sort_by("listed_at").to_pylist()
    return {row["id"]: float(row["price"]) for row in rows}


def ask(url: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an address."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_lake_without_a_model_trains_its_first(trained: Platform) -> None:
    [listed] = json.loads(trained.lake("models", "list", "--json").stdout)
    assert (listed["version"], listed["outcome"], listed["live"]) == ("v0001", "published", True)
    version = json.loads(trained.lake("models", "show", "v0001", "--json").stdout)
    assert version["rows"]["sales"] == sum(row["source"] == "initial" for row in rows_of(trained, "history"))
    assert trained.run("train.py", "--if-none") == "", "there is a model already"


def test_three_ways_give_one_price(trained: Platform, dashboard: str, tmp_path: Path) -> None:
    """Several ids and a file in one Spark job, one of them unknown; the API; the command."""
    houses = sorted(withheld(trained))[:4]
    file = tmp_path / "houses.txt"
    file.write_text(f"# for sale\n{houses[3]}\n\n{houses[0]}\n{houses[2]}\n")
    job = trained.job("predict.py", houses[0], houses[1], "x1", "--file", str(file), "--csv")
    printed, errors = job.communicate(timeout=300)
    assert job.returncode == 1
    assert "Error: No house has the id 'x1'." in errors
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [row["id"] for row in rows] == [houses[at] for at in (0, 1, 3, 2)]
    assert {row["model_version"] for row in rows} == {"v0001"}
    for row in rows:
        status, answer = ask(f"{dashboard}/api/houses/{row['id']}/price")
        assert status == 200
        assert [answer[name] for name in ("price", "low", "high")] == pytest.approx(
            [float(row[name]) for name in ("price", "low", "high")], rel=1e-6
        )
        assert json.loads(trained.lake("price", row["id"], "--json").stdout) == answer
    status, answer = ask(f"{dashboard}/api/houses/{houses[0]}x/price")
    assert (status, bool(answer["nearest"])) == (404, True)


def test_all_houses_by_spark_are_priced_as_by_the_export(trained: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = csv.DictReader(io.StringIO(trained.run("predict.py", "--all")))
    by_spark = {row["id"]: float(row["price"]) for row in printed}
    monkeypatch.setenv("LAKE_VAR", str(trained.var))
    settings.cache_clear()
    try:
        pricer = Pricer()
        assert len(by_spark) == len(pricer.known().houses) > 15_000
        assert pricer.price_many([*by_spark]) == pytest.approx(by_spark, rel=1e-6)
    finally:
        settings.cache_clear()


def test_a_house_for_sale_is_sold_and_its_error_is_known(trained: Platform, dashboard: str, browser: Browser) -> None:
    prices = {row["id"]: row["price"] for row in rows_of(trained, "prices")}
    before = len(read_topic(trained.bootstrap_servers, "houses", 4, trained.client))
    trained.run("produce.py", "--from", "for-sale", "--count", str(SOLD), "--rate", "100", "--seed", "3")
    records = read_topic(trained.bootstrap_servers, "houses", 4, trained.client)
    assert len(records) == before + SOLD
    wait_for(lambda: read_so_far(trained) == len(records), 120, "the history")
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
    metrics = dict(cells)
    assert int(metrics["sales"]) == len(first)
    assert float(metrics["mape"]) == pytest.approx(expected, rel=1e-9)
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
    done = trained.lake("models", "rollback", "--reason", "the test says so")
    assert done.returncode == 0, done.stderr
    page.wait_for_selector("tr[data-version='v0001'][data-live='true']", timeout=30_000)
    assert ask(f"{dashboard}/api/houses/{house}/price")[1]["version"] == "v0001"
    assert "the test says so" in trained.lake("models", "show", "v0001").stdout


def descendants(platform: Platform) -> list[psutil.Process]:
    """Everything that `lake up` has started, the JVMs too."""
    started = [
        psutil.Process(process["pid"]) for process in running(platform)["processes"] if process["state"] == "running"
    ]
    all_of_them = [*started, *(child for process in started for child in process.children(recursive=True))]
    return [process for process in all_of_them if process.status() != psutil.STATUS_ZOMBIE]  # one ended just now


def test_nothing_listens_beyond_loopback(trained: Platform) -> None:
    found = {
        connection.laddr
        for process in descendants(trained)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or (connection.type == socket.SOCK_DGRAM and not connection.raddr)
    }
    assert len(found) >= 5, "broker, controller, dashboard, Spark's UI, driver and blocks"
    assert [at for at in found if not ip_address(at.ip.removeprefix("::ffff:")).is_loopback] == []


def test_the_password_is_shown_nowhere(trained: Platform, dashboard: str) -> None:
    """In no log, checkpoint, table or state file, no command line, no environment, on no page and not in Spark's UI."""
    secret = CANARY.split("-", maxsplit=1)[0].encode()
    holders = [file for file in trained.var.rglob("*") if file.is_file() and secret in file.read_bytes()]
    assert {file.name for file in holders} == HOLDERS
    assert {stat.S_IMODE(file.stat().st_mode) for file in holders} == {0o600}
    for process in descendants(trained):
        assert secret.decode() not in " ".join([*process.cmdline(), *process.environ().values()]), process
    spark = json.loads((trained.var / "run/houses.spark.json").read_text())["ui"]
    [application] = json.loads(urllib.request.urlopen(f"{spark}/api/v1/applications", timeout=20).read())
    shown = [f"{dashboard}{path}" for path in ("/", "/_dash-layout", "/beat", "/health-ui", "/api/houses/1/price")]
    shown += [f"{spark}{path}" for path in ("/environment/", "/StreamingQuery/", "/SQL/", "/executors/")]
    shown += [f"{spark}/api/v1/applications/{application['id']}/{part}" for part in ("environment", "sql?length=5")]
    for address in shown:
        try:
            body = urllib.request.urlopen(address, timeout=30).read()
        except urllib.error.HTTPError as error:
            body = error.read()
        assert body, address
        assert secret not in body, address
