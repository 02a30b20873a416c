"""The real thing: broker, producer, both queries, recompute, audit and the page, against a plain-Python recomputation.

The oracles read the topic with a plain consumer and their own decoders; they share no code with the pipeline. All
that is started here runs east of UTC; CI itself runs west of it, and the browser is in a third zone.
"""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser

from tests import suite
from tests.audit.oracle import check, records
from tests.browser import without_zone
from tests.e2e.running import dashboard_at, keep_screenshot, rows_of, wait_for
from tests.jobs.houses import oracle
from tests.sites import Site, site

pytestmark = pytest.mark.e2e
SALES = 2000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = tuple[str, int]  # start of the window, decade


def send(place: Site, *values: bytes | None, key: bytes = b"k") -> None:
    producer = Producer({"bootstrap.servers": place.bootstrap_servers, "message.max.bytes": 4_000_000})
    for value in values:
        producer.produce("houses", value, key, partition=0)
    assert producer.flush(30) == 0


BAD = [None, b"", b"{", b"\xff\xfe", b"[]", b"x" * 1_000_000, b'{"price": NaN}', b'{"id": 1, "price": -5}']


def table(page: Any, selector: str) -> dict[Key, dict[str, str]]:
    """The rows of a tile's table as the page shows them, by window and decade."""
    script = """rows => rows.map(row => [row.dataset.window, row.dataset.decade,
        Object.fromEntries([...row.querySelectorAll('td[data-field]')].map(
            cell => [cell.dataset.field, cell.dataset.value ?? cell.textContent.trim()]))])"""
    found = page.eval_on_selector_all(f"{selector} tr[data-decade]", script)
    return {
        (str(datetime.fromisoformat(window).astimezone(UTC)), int(decade)): cells for window, decade, cells in found
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An empty lake with all its processes in another zone."""
    with site(tmp_path_factory.mktemp("houses"), suite.load("houses")) as place:
        place.env["TZ"] = "Asia/Tokyo"
        yield place


def test_from_a_sale_to_the_page_east_of_utc(place: Site, browser: Browser) -> None:
    place.run("build_datasets.py", "--load")
    stream = place.job("stream.py")
    try:
        place.run("produce.py", "--count", str(SALES), "--rate", "400", "--seed", "7")
        send(place, *BAD)
        send(place, *[message.value() for message in records(place)[:25]])  # resent
        sent = records(place)
        assert len(sent) == SALES + len(BAD) + 25
        wait_for(lambda: place.waiting() == 0, 240, "reading all of it")
        wait_for(lambda: len(rows_of(place, "dead_letters")) == len(BAD), 120, "all dead letters")
        assert check(place) == []
        check_letters(place, sent)
        speed = rows_of(place, "averages")
        newest = max(row["window_start"] for row in speed)
        assert not any(row["is_final"] for row in speed if row["window_start"] == newest)
    finally:
        stream.send_signal(signal.SIGTERM)
        _out, err = stream.communicate(timeout=90)
    assert stream.returncode == 0, err
    assert "equal" in place.run("recompute.py")
    sales = [sale for sale in (oracle.decode(each.value(), each.timestamp()[1]) for each in sent) if sale]
    distinct = oracle.averages(list({sale.event_id: sale for sale in reversed(sales)}.values()))
    expected = {(str(EPOCH + timedelta(microseconds=start)), decade): row for (start, decade), row in distinct.items()}
    batch = rows_of(place, "averages_batch")
    assert {key(row): (row["avg_price"], row["sales"], row["sum_cents"]) for row in batch} == expected
    assert {row["cause"] for row in rows_of(place, "parity")} <= {"equal", "resent"}
    place.lake_output("audit", "houses")
    check_page(place, browser, expected)


def key(row: dict[str, Any]) -> Key:
    return str(row["window_start"]), row["decade"]


def check_letters(place: Site, sent: list[Any]) -> None:
    """Dead letters are the bytes as they came, with a reason."""
    letters, values = rows_of(place, "dead_letters"), {(each.partition(), each.offset()): each.value() for each in sent}
    assert all(values[row["partition"], row["offset"]] == row["value"] for row in letters)
    assert all(row["reason"] for row in letters)


def check_page(place: Site, browser: Browser, expected: dict[Key, tuple[float, int, int]]) -> None:
    """What the page shows equals the oracle's numbers; a screenshot of each page is kept under var/."""
    with dashboard_at(place) as url:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        foreign: list[str] = []
        page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(url) else None)
        decades = ",".join(sorted({str(decade) for _start, decade in expected}))
        page.goto(f"{url}/houses?decade={decades}")
        page.wait_for_selector("#houses-windows-table tr[data-decade]", state="attached", timeout=60_000)
        shown = table(page, "#houses-windows-table")
        numbers = {cell: (float(row["avg_price"]), int(row["sales"])) for cell, row in shown.items()}
        assert numbers == {cell: row[:2] for cell, row in expected.items()}
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
