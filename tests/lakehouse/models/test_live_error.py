"""Live error: which sale counts for which version, read bit by bit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake

from jobs.houses.schema import HISTORY, PRICE_MODEL, PRICES
from lakehouse.contract.models import Better, LiveCheck, Metric, Model
from lakehouse.contract.tables import Table
from lakehouse.models.live_error import Compared, LiveErrors, VersionError
from lakehouse.models.manifests import Manifest, Outcome
from lakehouse.models.registry import Registry
from lakehouse.settings import settings
from lakehouse.tables import table_io
from tests.jobs.houses.price_model import fitting


def live_errors(registry: Registry) -> LiveErrors:
    """The live errors of the price model."""
    assert PRICE_MODEL.live
    return LiveErrors(registry, PRICE_MODEL.live)


@pytest.fixture
def registry(lake: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Two versions, the second one live, under a path whose address differs from it."""
    monkeypatch.setenv("LAKE_VAR", str(lake.parent / "Lagoš é 50%"))
    settings.cache_clear()
    found = Registry(PRICE_MODEL)
    for _ in range(2):
        fitting.publish(found)
    return found


def predict(version: str, **prices: float) -> None:
    """Write a version's prices of houses for sale."""
    now = datetime.now(UTC)
    rows = [
        {"model_version": version, "id": house, "price": price, "low": 0.0, "high": 0.0, "predicted_at": now}
        for house, price in prices.items()
    ]
    write_deltalake(table_io.create(PRICES), table_io.rows(PRICES, rows), mode="append")


def sell(house: str, price: int, at: datetime, **changed: Any) -> None:
    """Write a sale into the history."""
    row = {"id": house, "price": Decimal(price), "event_at": at, "source": "stream"} | changed
    write_deltalake(table_io.create(HISTORY), table_io.rows(HISTORY, [row]), mode="append")


def test_a_sale_counts_for_the_version_that_was_live_then(registry: Registry) -> None:
    first, second = registry.switches()
    predict("v0001", a=110.0, b=90.0)
    predict("v0002", a=100.0, b=100.0)
    errors = live_errors(registry)
    assert errors.read().versions == ()
    sell("a", 100, first.at + (second.at - first.at) / 2)
    sell("b", 80, second.at + timedelta(seconds=1))
    error = errors.read()
    assert [(row.version, row.outcomes, round(row.error, 6)) for row in error.versions] == [
        ("v0002", 1, 0.25),
        ("v0001", 1, 0.1),
    ]
    assert error.versions[0].hold_out == registry.manifest("v0002").metrics["mape"]
    assert [sale.id for sale in error.newest] == ["b", "a"]
    assert errors.read() is error, "nothing has changed, so nothing is read"


def test_only_the_first_sale_of_a_house_for_sale_on_the_stream_counts(registry: Registry) -> None:
    now = registry.switches()[-1].at
    predict("v0002", a=100.0)
    sell("a", 200, now + timedelta(seconds=9))
    errors = live_errors(registry)
    assert errors.read().newest[0].actual == 200.0
    sell("a", 100, now + timedelta(seconds=5))
    sell("other", 100, now)
    sell("a", 50, now - timedelta(days=400))
    sell("a", 50, now, source="initial")
    [sale] = errors.read().newest
    assert sale.actual == 100.0


def test_tables_written_again_are_read_again(registry: Registry, lake: Path) -> None:
    import shutil

    now = registry.switches()[-1].at + timedelta(seconds=1)
    predict("v0002", a=100.0)
    sell("a", 100, now)
    errors = live_errors(registry)
    assert errors.read().newest[0].actual == 100.0
    shutil.rmtree(HISTORY.path)
    sell("a", 50, now)
    assert errors.read().newest[0].actual == 50.0


def test_a_damaged_table_is_a_sentence(registry: Registry) -> None:
    predict("v0002", a=100.0)
    sell("a", 100, registry.switches()[-1].at)
    for file in HISTORY.path.glob("*.parquet"):
        file.write_bytes(b"no parquet")
    assert "cannot be read" in live_errors(registry).read().error


TRAINS = Table("rail", "trains", {"train": "BIGINT", "late": "DECIMAL(9,2)", "at": "TIMESTAMP"}, ("train",), "runs", {})
GUESSES = Table(
    "rail",
    "guesses",
    {"model_version": "STRING", "train": "INT", "late": "DECIMAL(9,2)"},
    ("model_version", "train"),
    "guesses",
    {},
)
DELAY = Model(
    "rail",
    "delay",
    "Delay",
    (Metric("error", "Error"),),
    "error",
    Better.LOWER,
    "jobs/rail/train.py",
    live=LiveCheck(GUESSES, "late", TRAINS, "late", "at", lambda guess, late: abs(guess - late), key="train"),
)


@pytest.mark.usefixtures("lake")
def test_keys_may_be_numbers_and_predictions_decimals() -> None:
    registry = Registry(DELAY)
    with registry.aside() as folder:
        registry.switch(registry.keep(folder, Manifest(Outcome.PUBLISHED, metrics={"error": 0.5})), "the first")
    guesses = [{"model_version": "v0001", "train": train, "late": Decimal("3.50")} for train in (7, 8, None)]
    write_deltalake(table_io.create(GUESSES), table_io.rows(GUESSES, guesses), mode="append")
    ran = registry.switches()[0].at + timedelta(seconds=1)
    trains = [{"train": train, "late": Decimal("4.00"), "at": ran} for train in (7, 9)]
    write_deltalake(table_io.create(TRAINS), table_io.rows(TRAINS, trains), mode="append")
    assert DELAY.live
    found = LiveErrors(registry, DELAY.live).read()
    assert (found.error, found.versions) == ("", (VersionError("v0001", 1, 0.5, 0.5),))
    assert found.newest == (Compared("7", ran, 4.0, 3.5, "v0001"),)
    assert isinstance(found.newest[0].predicted, float)
