"""The real thing: broker, producer, both queries, recompute, audit and the page, against a plain-Python recomputation.

The oracle reads the topic with a plain consumer and its own decoder; it shares no code with the pipeline. Everything
that is started here runs east of UTC; CI itself runs west of it, and the browser is in a third zone.
"""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser

from tests.browser import without_zone
from tests.e2e.running import Platform, dashboard_at, keep_screenshot, read_topic, rows_of, wait_for

pytestmark = pytest.mark.e2e
SALES = 2000
Key = tuple[str, int]


def send(platform: Platform, *values: bytes | None, key: bytes = b"k") -> None:
    producer = Producer({"bootstrap.servers": platform.bootstrap_servers, "message.max.bytes": 4_000_000})
    for value in values:
        producer.produce("houses", value, key, partition=0)
    assert producer.flush(30) == 0


def decode(message: Any) -> dict[str, Any] | None:
    """The sale in a record, or None: an independent reading of the ten fields this test sends."""
    try:
        sale = json.loads(message.value().decode())
        sold = datetime.fromisoformat(sale["sold_at"])
        at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        price = Decimal(repr(sale["price"]))
        good = (
            0 < price <= 100_000_000 and 1800 <= sale["yr_built"] <= 2100 and datetime(2000, 1, 1, tzinfo=UTC) <= sold
        )
        if not good or sold > at + timedelta(minutes=5):
            return None
        cents = int((price * 100).quantize(Decimal(1), ROUND_HALF_UP))
        return {"sold": sold, "decade": sale["yr_built"] // 10 * 10, "cents": cents, "event_id": sale["event_id"]}
    except (AttributeError, ValueError, KeyError, TypeError, ArithmeticError):
        return None


def averages(sales: list[dict[str, Any]]) -> dict[Key, tuple[float, int]]:
    """Average and count by (window start as ISO, decade)."""
    sums: dict[Key, list[int]] = {}
    for sale in sales:
        minute = sale["sold"].replace(minute=sale["sold"].minute // 2 * 2, second=0, microsecond=0)
        cell = sums.setdefault((minute.astimezone(UTC).isoformat(), sale["decade"]), [0, 0])
        cell[0] += sale["cents"]
        cell[1] += 1
    return {key: (cents / (100 * count), count) for key, (cents, count) in sums.items()}


def first_of_each(sales: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sales less the resends."""
    return list({sale["event_id"]: sale for sale in reversed(sales)}.values())


BAD = [None, b"", b"{", b"\xff\xfe", b"[]", b"x" * 1_000_000, b'{"price": NaN}', b'{"id": 1, "price": -5}']


def table(page: Any, selector: str) -> dict[Key, dict[str, str]]:
    """The rows of a tile's table as the page shows them, by window and decade."""
    script = """rows => rows.map(row => [row.dataset.window, row.dataset.decade,
        Object.fromEntries([...row.querySelectorAll('td[data-field]')].map(
            cell => [cell.dataset.field, cell.dataset.value ?? cell.textContent.trim()]))])"""
    found = page.eval_on_selector_all(f"{selector} tr[data-decade]", script)
    return {
        (datetime.fromisoformat(window).astimezone(UTC).isoformat(), int(decade)): cells
        for window, decade, cells in found
    }


@pytest.fixture(scope="module")
def platform(platform: Platform) -> Platform:
    """The platform with all its processes in another zone."""
    return replace(platform, env={**platform.env, "TZ": "Asia/Tokyo"})


def test_from_a_sale_to_the_page_east_of_utc(platform: Platform, browser: Browser) -> None:
    platform.run("build_datasets.py", "--load")
    stream = platform.job("stream.py")
    try:
        platform.run("produce.py", "--count", str(SALES), "--rate", "400", "--seed", "7")
        good = list(read_topic(platform.bootstrap_servers, "houses", 4))
        send(platform, *BAD)
        send(platform, *[message.value() for message in good[:25]])  # resent
        records = read_topic(platform.bootstrap_servers, "houses", 4)
        assert len(records) == SALES + len(BAD) + 25
        sales = [sale for sale in map(decode, records) if sale]
        wait_for(lambda: sum(row["sales"] for row in rows_of(platform, "averages")) == len(sales), 240, "all averages")
        wait_for(lambda: len(rows_of(platform, "dead_letters")) == len(BAD), 120, "all dead letters")
        check_conservation(platform, records)
        check_speed_layer(platform, sales)
        check_updates_topic(platform, sales)
    finally:
        stream.send_signal(signal.SIGTERM)
        _out, err = stream.communicate(timeout=90)
    assert stream.returncode == 0, err
    assert "equal" in platform.run("recompute.py")
    batch = {key(row): (row["avg_price"], row["sales"]) for row in rows_of(platform, "averages_batch")}
    distinct = averages(first_of_each(sales))
    assert batch == distinct
    assert {row["cause"] for row in rows_of(platform, "parity")} <= {"equal", "resent"}
    check_audit(platform)
    check_page(platform, browser, distinct)


def key(row: dict[str, Any]) -> Key:
    return row["window_start"].isoformat(), row["decade"]


def check_conservation(platform: Platform, records: list[Any]) -> None:
    """Each record is exactly once in the history or in the dead letters."""
    sent = sorted((message.partition(), message.offset()) for message in records)
    history = [row for row in rows_of(platform, "history") if row["source"] == "stream"]
    letters = rows_of(platform, "dead_letters")
    assert sorted((row["partition"], row["offset"]) for row in [*history, *letters]) == sent
    by_place = {(message.partition(), message.offset()): message.value() for message in records}
    assert all(by_place[row["partition"], row["offset"]] == row["value"] for row in letters)
    assert all(row["reason"] for row in letters)


def check_speed_layer(platform: Platform, sales: list[dict[str, Any]]) -> None:
    speed = {key(row): (row["avg_price"], row["sales"]) for row in rows_of(platform, "averages")}
    assert speed == averages(sales)
    newest = max(start for start, _ in speed)
    assert not any(row["is_final"] for row in rows_of(platform, "averages") if key(row)[0] == newest)


def check_audit(platform: Platform) -> None:
    """The platform's own proof finds nothing off."""
    command = [str(Path(sys.executable).parent / "lake"), "audit", "houses"]
    done = subprocess.run(command, env=platform.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def check_updates_topic(platform: Platform, sales: list[dict[str, Any]]) -> None:
    """The last update of each window on the topic has the window's final numbers."""
    last: dict[Key, tuple[float, int]] = {}
    for message in read_topic(platform.bootstrap_servers, "AVG_PRICE_PER_YEAR", 1):
        value = json.loads(message.value())
        start = datetime.fromtimestamp(value["WINDOW_START"] / 1000, UTC).isoformat()
        assert value["WINDOW_END"] - value["WINDOW_START"] == 120_000
        last[start, value["DECADE_BUILT"]] = (value["AVG_PRICE"], value["NUM_HOUSES"])
    assert last == averages(sales)


def check_page(platform: Platform, browser: Browser, expected: dict[Key, tuple[float, int]]) -> None:
    """What the page shows equals the oracle's numbers; a screenshot of each page is kept under var/."""
    with dashboard_at(platform) as url:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        foreign: list[str] = []
        page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(url) else None)
        decades = ",".join(sorted({str(decade) for _start, decade in expected}))
        page.goto(f"{url}/houses?decade={decades}")
        page.wait_for_selector("#houses-windows-table tr[data-decade]", state="attached", timeout=60_000)
        shown = table(page, "#houses-windows-table")
        assert {place: (float(row["avg_price"]), int(row["sales"])) for place, row in shown.items()} == expected
        assert {row["layer"] for row in shown.values()} == {"batch"}
        assert {row["window_start"] for row in shown.values()} == {start[11:19] for start, _ in expected}
        assert without_zone(page) == []
        newest = {decade: start for start, decade in sorted(expected)}
        assert set(table(page, "#houses-last-window-table")) == {(start, decade) for decade, start in newest.items()}
        page.wait_for_timeout(2500)
        keep_screenshot(page, "e2e-houses")
        page.goto(f"{url}/")
        page.wait_for_timeout(2500)
        keep_screenshot(page, "e2e-overview")
        assert [url for url in foreign if not url.startswith(("data:", "blob:"))] == []
