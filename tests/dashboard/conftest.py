"""A lake of house sales written by a test, and the domain's view of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake

from jobs.houses import schema
from lakehouse import tables
from lakehouse.tables import Table

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=2)
Row = dict[str, Any]


@pytest.fixture
def write(lake: Path) -> Callable[..., None]:
    """Appends rows to a table; columns left out are null."""

    def append(table: Table, *rows: Row) -> None:
        write_deltalake(tables.create(table), tables.rows(table, rows), mode="append")

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
