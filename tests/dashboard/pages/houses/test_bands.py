"""The 95 % band of a window's average."""

import math
import statistics
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard.live.snapshot import Live
from dashboard.pages.houses import bands as houses_bands
from dashboard.pages.houses import live_view, source
from jobs.houses import schema

Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]


# Two-sided 95 % points of Student's t as the tables have them.
@pytest.mark.parametrize(("freedom", "wanted"), [(4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_student_is_that_of_the_tables(freedom: int, wanted: float) -> None:
    assert houses_bands.student(freedom) == pytest.approx(wanted, rel=3e-3)


def bands(lake: Path) -> list[float | None]:
    view = Live([source.SOURCE]).refresh().domains["houses"]
    windows = houses_bands.with_bands(live_view.last_windows(view.served), view.reading(source.SPREAD).frame)
    return [None if math.isnan(width) else width for width in windows["band"]]


def test_a_window_has_the_band_of_its_own_sales_only(lake: Path, write: Write, average: Build, sale: Build) -> None:
    prices = [100.5, 200.0, 350.25, 400.0, 1000.0, 120.0]
    own = [sale(n, price=Decimal(str(price))) for n, price in enumerate(prices)]
    another = [
        sale(90, price=Decimal(9_000_000), yr_built=1989),
        sale(119, price=Decimal(1), yr_built=1980),
        sale(120, price=Decimal(7_000_000)),
    ]
    write(schema.HISTORY, *own, *another)
    write(schema.AVERAGES, average(0, 1980), average(0, 1990))
    wanted = 2.5706 * statistics.stdev(prices) / math.sqrt(6)
    assert bands(lake) == [None, pytest.approx(wanted, rel=2e-3)]


def test_too_few_sales_another_length_and_an_old_window_have_none(
    lake: Path, write: Write, average: Build, sale: Build
) -> None:
    write(schema.HISTORY, *[sale(n, price=Decimal(n * 1000), yr_built=1980) for n in range(1, 5)])
    write(schema.AVERAGES, average(0, 1980))
    assert bands(lake) == [None]
    write(schema.HISTORY, sale(5, price=Decimal(1), yr_built=1980))
    assert bands(lake) != [None]
    write(schema.HISTORY, sale(700))  # ten minutes later
    assert bands(lake) == [None]


def test_sliding_windows_have_none(lake: Path, write: Write, average: Build, sale: Build) -> None:
    write(schema.HISTORY, *[sale(n, price=Decimal(n * 1000)) for n in range(9)])
    longer = average(0)["window_end"] + pd.Timedelta("1min")
    write(schema.AVERAGES, average(0, window_end=longer))
    assert bands(lake) == [None]
