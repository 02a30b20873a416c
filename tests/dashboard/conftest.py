"""A lake of house sales written by a test, a model of them, and the dashboard over it in a browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake
from playwright.sync_api import Browser, Page, expect

from jobs.houses import schema
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from lakehouse.tables import table_io
from lakehouse.tables.table_io import Table
from tests.dashboard import golden
from tests.dashboard.served import App, is_local
from tests.jobs.houses.price_model import fitting
from tests.own_lake import own_lake

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=2)
Row = dict[str, Any]
# What a browser and Dash say, rightly, when a test takes the server away: nobody answers, or an answer breaks off.
OUTAGE = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "the server did not respond")


@pytest.fixture
def write(lake: Path) -> Callable[..., None]:
    """Appends rows to a table; columns left out are null."""

    def append(table: Table, *rows: Row) -> None:
        write_deltalake(table_io.create(table), table_io.rows(table, rows), mode="append")

    return append


@pytest.fixture
def sale() -> Callable[..., Row]:
    """A sale in history, the n-th on partition 0."""

    def build(offset: int, **changed: Any) -> Row:
        at = NOON + timedelta(seconds=offset)
        row = {"id": f"house{offset}", "price": Decimal("500000.00"), "yr_built": 1994, "bedrooms": 3, "bathrooms": 2.5}
        row |= {"sqft_living": 1800, "zipcode": 98103, "event_at": at, "source": "stream"}
        return row | {"topic": "houses", "partition": 0, "offset": offset, "recorded_at": at} | changed

    return build


@pytest.fixture
def average() -> Callable[..., Row]:
    """A row of averages: window n after noon, price and sales of a decade."""

    def build(number: int, decade: int = 1990, price: float = 500_000.0, sales: int = 2, **changed: Any) -> Row:
        start = NOON + number * WINDOW
        row = {"window_start": start, "window_end": start + WINDOW, "decade": decade, "avg_price": price}
        row |= {"sales": sales, "sum_cents": round(price * sales * 100), "is_final": True}
        return row | {"generation": "g", "batch_id": number, "updated_at": start + WINDOW} | changed

    return build


@pytest.fixture
def recomputed(average: Callable[..., Row]) -> Callable[..., Row]:
    """A row of averages_batch that covers averages batch n."""

    def build(number: int, decade: int = 1990, price: float = 500_000.0, sales: int = 2) -> Row:
        row = {
            name: value
            for name, value in average(number, decade, price, sales).items()
            if name in schema.AVERAGE_COLUMNS
        }
        row |= {"covered_generation": "g", "covered_batch_id": number}
        return row | {"history_version": 1, "recomputed_at": NOON}

    return build


@pytest.fixture
def compared() -> Callable[..., Row]:
    """A row of parity."""

    def build(number: int, cause: str = "equal", speed_sales: int | None = 2, difference: float = 0.0) -> Row:
        start = NOON + number * WINDOW
        row = {"window_start": start, "window_end": start + WINDOW, "decade": 1990, "speed_sales": speed_sales}
        row |= {"batch_sales": 2, "speed_avg_price": 500_000.0, "batch_avg_price": 500_000.0 + difference}
        return row | {"difference": difference, "late": 0, "resent": 0, "cause": cause, "recomputed_at": NOON}

    return build


@pytest.fixture
def publish(lake: Path) -> Callable[..., str]:
    """Publishes a small model of real sales in the lake and lets it go live; `factor` makes its prices higher."""
    return lambda **options: fitting.publish(Registry(PRICE_MODEL), **options)


@pytest.fixture
def app(lake: Path) -> Iterator[App]:
    running = App(lake)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A dashboard over a lake with something on every tile, for tests that only look; one for all of a module."""
    var = tmp_path_factory.mktemp("furnished") / "var"
    with own_lake(var):
        golden.fill()
        running = App(var)
        yield running
        running.kill()


@contextmanager
def watched(app: App, browser: Browser) -> Iterator[Page]:
    """A page of which every console error and every request to elsewhere fails the test."""
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=app.url)
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if not is_local(request.url, app) else None)
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    yield page
    page.close()
    expected = OUTAGE if app.was_away else ()
    assert [complaint for complaint in complaints if not any(said in complaint for said in expected)] == []


@pytest.fixture
def page(app: App, browser: Browser) -> Iterator[Page]:
    """A page over the test's own lake."""
    with watched(app, browser) as found:
        yield found


@pytest.fixture
def looker(furnished: App, browser: Browser) -> Iterator[Page]:
    """A page over the furnished lake."""
    with watched(furnished, browser) as found:
        yield found
