"""The data sets: their fractions, how they are published, and that the initial history is loaded once."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pytest

from jobs.houses import build_datasets, datasets
from jobs.houses.schema import HISTORY
from lakehouse.errors import DataError, RefusedError, UsageError
from lakehouse.settings import settings
from lakehouse.tables import table_io
from tests.jobs.houses import elsewhere

NAMES = (datasets.INITIAL, datasets.TO_STREAM, datasets.FOR_SALE, datasets.FOR_SALE_PRICES)


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything written goes to a folder of the test's own."""
    monkeypatch.setenv("LAKE_VAR", str(tmp_path / "var"))
    settings.cache_clear()
    yield tmp_path / "var"
    settings.cache_clear()


def build(seed: int = 42, load: bool = False, keep: bool = False) -> None:
    build_datasets.main(seed=seed, load=load, keep=keep)


@pytest.mark.parametrize("shares", [(0.4, 0.5, 0.2), (0.1, 0.1, 0.1), (float("nan"), 0.5, 0.5)])
def test_fractions_must_add_up_to_1(shares: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="They must add up to 1"):
        build_datasets.fractions(*shares)


class TestPublishing:
    def test_the_price_is_withheld_in_a_file_of_its_own(self) -> None:
        build()
        for_sale, prices = datasets.read_sets(datasets.FOR_SALE, datasets.FOR_SALE_PRICES)
        assert "price" not in for_sale.column_names
        assert prices.column_names == ["id", "listed_at", "price"]
        assert prices.select(["id", "listed_at"]).equals(for_sale.select(["id", "listed_at"]))
        assert prices["price"].null_count == 0

    def test_the_same_seed_and_input_leave_the_files_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        build()
        before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in datasets.data_folder().iterdir()}
        build()
        after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in datasets.data_folder().iterdir()}
        assert before == after
        assert len(after) == 5
        assert "Already in" in capsys.readouterr().out

    def test_a_damaged_set_is_refused_by_its_reader_and_written_again(self) -> None:
        build()
        path = datasets.data_folder() / "initial.parquet"
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        with pytest.raises(DataError, match=r"not of the same build .*build_datasets\.py"):
            datasets.read_sets(datasets.INITIAL)
        build()
        assert datasets.read_sets(datasets.INITIAL)[0].num_rows == 8645

    def test_sets_that_were_never_built_are_missed_with_the_command(self) -> None:
        with pytest.raises(DataError, match=r"`\./spark-submit\.sh jobs/houses/build_datasets\.py`"):
            datasets.read_sets(datasets.TO_STREAM)

    def test_keep_leaves_sets_of_another_seed(self) -> None:
        build(seed=7)
        manifest = (datasets.data_folder() / datasets.MANIFEST).read_text()
        build(keep=True)
        assert (datasets.data_folder() / datasets.MANIFEST).read_text() == manifest


class TestLoading:
    def test_the_initial_history_is_loaded_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        build(load=True)
        build(load=True)
        [initial] = datasets.read_sets(datasets.INITIAL)
        history = table_io.read(HISTORY)
        assert history.num_rows == initial.num_rows == 8645
        assert pc.sum(history["price"]).as_py() == pc.sum(initial["price"]).as_py()
        assert history["source"].unique().to_pylist() == ["initial"]
        for column in ("sold_at", "event_id", "event_at", "topic", "partition", "offset", "recorded_at"):
            assert history[column].null_count == history.num_rows
        assert "Already loaded" in capsys.readouterr().out

    def test_another_initial_history_is_refused_before_anything_is_written(self) -> None:
        build(load=True)
        manifest = (datasets.data_folder() / datasets.MANIFEST).read_text()
        with pytest.raises(RefusedError, match="options it was built with, or load this one into another lake"):
            build(seed=7, load=True)
        assert (datasets.data_folder() / datasets.MANIFEST).read_text() == manifest
        assert table_io.read(HISTORY, ["id"]).num_rows == 8645

    def test_sets_of_another_seed_are_not_loaded_over_it_either(self) -> None:
        build(load=True)
        build(seed=7)
        with pytest.raises(RefusedError):
            build(keep=True, load=True)

    def test_sales_streamed_earlier_do_not_count_as_an_initial_history(self) -> None:
        row = {"id": "1", "price": None, "source": "stream", "topic": "houses", "partition": 0, "offset": 0}
        table_io.append(table_io.create(HISTORY), table_io.rows(HISTORY, [row]), app_id="a stream", version=0)
        build(load=True)
        assert table_io.read(HISTORY, ["id"]).num_rows == 8646


class TestOtherFiles:
    """A file with unknown facts, and a lake that begins without any."""

    FLATIRON = Path(__file__).parents[2] / "cases/08-flatiron/kc_house_data-v1.csv"

    def test_sales_that_no_event_could_tell_are_in_the_initial_history(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        build_datasets.main(source=self.FLATIRON, load=True)
        sets = datasets.read_sets(datasets.INITIAL, datasets.TO_STREAM, datasets.FOR_SALE)
        lacking = [pc.sum(datasets.incomplete(part)).as_py() for part in sets]
        assert (lacking[1:], [part.num_rows for part in sets]) == ([0, 0], [48, 59, 12])
        history = table_io.read(HISTORY)
        assert lacking[0] == 119 - 101  # 15 without waterfront and 3 others without view
        assert history["waterfront"].null_count == 15
        assert "Unknown facts, by number of sales: waterfront of 15, view of 3" in capsys.readouterr().out

    def test_missing_columns_are_named_with_what_they_cost(self, capsys: pytest.CaptureFixture[str]) -> None:
        build_datasets.main(source=self.FLATIRON.parents[1] / "09-csv-forms/i-ten-columns.csv", load=True)
        output = capsys.readouterr().out
        assert "The file has no condition, grade," in output
        assert "no house is on the map" in output
        assert table_io.read(HISTORY, ["lat"])["lat"].null_count == 32

    def test_a_file_of_another_county_keeps_its_ids(self, tmp_path: Path) -> None:
        sales = elsewhere.perth()
        path = tmp_path / "perth.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(sales[0]))
            writer.writeheader()
            writer.writerows(sales)
        build_datasets.main(source=path, load=True)
        sets = datasets.read_sets(datasets.INITIAL, datasets.TO_STREAM, datasets.FOR_SALE)
        assert {house for part in sets for house in part["id"].to_pylist()} == {sale["id"] for sale in sales}
        assert max(table_io.read(HISTORY, ["lat"])["lat"].to_pylist()) < -31


class TestEmpty:
    def test_sets_without_sales_as_often_as_wanted(self, capsys: pytest.CaptureFixture[str]) -> None:
        for _ in range(2):
            build_datasets.main(load=True, keep=True, empty=True)
        build_datasets.main(load=True, keep=True)  # a later start without the option goes on with them
        assert [part.num_rows for part in datasets.read_sets(*NAMES)] == [0, 0, 0, 0]
        assert (datasets.is_empty(), table_io.exists(HISTORY), table_io.read(HISTORY, ["id"]).num_rows) == (
            True,
            True,
            0,
        )
        assert "already in" in capsys.readouterr().out

    def test_they_take_the_place_of_sets_that_were_not_loaded(self) -> None:
        build()
        build_datasets.main(load=True, empty=True)
        assert datasets.is_empty()

    def test_a_lake_with_an_initial_history_cannot_begin_empty(self) -> None:
        build(load=True)
        with pytest.raises(RefusedError, match=r"already has an initial history.*LAKE_VAR"):
            build_datasets.main(load=True, empty=True)
        assert datasets.read_sets(datasets.INITIAL)[0].num_rows == 8645

    def test_a_file_may_follow(self) -> None:
        build_datasets.main(load=True, empty=True)
        build_datasets.main(load=True, keep=True)
        build_datasets.main(source=TestOtherFiles.FLATIRON, load=True)
        assert table_io.read(HISTORY, ["id"]).num_rows == 48

    def test_a_file_and_none_are_one_too_many(self) -> None:
        with pytest.raises(UsageError, match="--empty and --input exclude each other"):
            build_datasets.main(source=TestOtherFiles.FLATIRON, empty=True)
