"""Files of sales: what may be in them, and how they are split by house."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.houses import build_datasets, datasets
from lakehouse.errors import DataError, UsageError

ORIGINAL = (  # the head of the original CSV
    "id,date,price,bedrooms,bathrooms,sqft_living,sqft_lot,floors,waterfront,view,condition,grade,sqft_above,"
    "sqft_basement,yr_built,yr_renovated,zipcode,lat,long,sqft_living15,sqft_lot15",
    '"0007129300","20141013T000000",221900,3,1.25,1180,5650,1,0,0,3,7,1180,0,1955,0,98178,47.5112,-122.257,1340,5650',
)
[SALE] = csv.DictReader(ORIGINAL)
Write = Callable[..., Path]


@pytest.fixture
def write_csv(tmp_path: Path) -> Write:
    """Writes sales, each given by what differs from SALE, as a CSV in the original's form."""

    def write(*changes: dict[str, str], columns: tuple[str, ...] = tuple(SALE)) -> Path:
        path = tmp_path / "kc.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(columns)
            writer.writerows([(SALE | change)[name] for name in columns] for change in changes)
        return path

    return write


@pytest.fixture(scope="module")
def committed() -> pa.Table:
    return datasets.read_file(build_datasets.COMMITTED).rows


def sales(*houses: str) -> pa.Table:
    """One sale of each house named, a row number as its price."""
    rows: list[dict[str, Any]] = [{"id": house, "price": row + 1} for row, house in enumerate(houses)]
    return pa.Table.from_pylist(rows, schema=pa.schema([("id", pa.string()), ("price", pa.int64())]))


class TestReading:
    def test_the_committed_file_is_the_whole_of_the_sales(self, committed: pa.Table) -> None:
        assert committed.num_rows == 21_613
        assert pc.count_distinct(committed["id"]).as_py() == 21_436
        assert pc.sum(committed["price"]).as_py() == 11_672_925_008
        assert pc.sum(committed["waterfront"]).as_py() == 163
        assert str(pc.min(committed["listed_at"]).as_py()) == "2014-05-02 00:00:00+00:00"
        assert str(pc.max(committed["listed_at"]).as_py()) == "2015-05-27 00:00:00+00:00"

    def test_the_original_csv_gives_the_same_sales_as_the_committed_file(
        self, committed: pa.Table, tmp_path: Path
    ) -> None:
        rows = pq.read_table(build_datasets.COMMITTED).to_pylist()
        path = tmp_path / "kc_house_data.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(SALE), quoting=csv.QUOTE_NONNUMERIC)
            writer.writeheader()
            for row in reversed(rows):
                form = {"id": f"{row['id']:010d}", "date": f"{row['date']:%Y%m%dT000000}"}
                writer.writerow({name: row[name] for name in SALE} | form | {"waterfront": int(row["waterfront"])})
        assert datasets.read_file(path).rows.equals(committed)

    def test_a_sale_has_the_types_of_the_history_and_its_id_no_leading_zeros(self, write_csv: Write) -> None:
        [sale] = datasets.read_file(write_csv({"price": "221900.5", "grade": " ", "bedrooms": "3.0"})).rows.to_pylist()
        assert sale["id"] == "7129300"
        assert str(sale["price"]) == "221900.50"
        assert str(sale["listed_at"]) == "2014-10-13 00:00:00+00:00"
        assert (sale["bedrooms"], sale["bathrooms"], sale["waterfront"], sale["grade"]) == (3, 1.25, 0, None)

    @pytest.mark.parametrize(
        ("column", "got", "rule"),
        [
            ("id", "000", "must be a house number of 1 to 64 letters, digits, - and _"),
            ("id", "7129.5", "must be a house number"),
            ("id", "7" * 65, "must be a house number"),
            ("date", "20150230T000000", "must be a date such as 20141013T000000"),
            ("date", "0014-10-13", "must be a date such as"),
            ("date", "2/30/2015", "must be a date such as"),
            ("price", "0", "must be a price from 0.01 to 100,000,000"),
            ("price", "1e999", "must be a price"),
            ("price", "€221900", "must be a price"),
            ("bedrooms", "2.5", "must be a whole number from 0 to 100 or blank"),
            ("bathrooms", "-1", "must be a number from 0 to 100 or blank"),
            ("waterfront", "maybe", "must be a whole number from 0 to 1 or blank"),
            ("view", "splendid", "must be a whole number from 0 to 4 or blank"),
            ("lat", "90.1", "must be a number from -90 to 90 or blank"),
            ("lat", "47,511", "must be a number from -90 to 90 or blank"),
            ("grade", "14", "must be a whole number from 1 to 13 or blank"),
        ],
    )
    def test_a_bad_value_is_named_with_its_column_rule_and_line(
        self, write_csv: Write, column: str, got: str, rule: str
    ) -> None:
        with pytest.raises(DataError) as error:
            datasets.read_file(write_csv({}, {column: got}, {}))
        message = str(error.value)
        assert message.startswith(f"kc.csv has values that cannot be read:\n  column {column}: 1 of 3 {rule}")
        assert f"(line 3: '{got[:60]}'). Correct or remove" in message
        assert error.value.exit_code == 65

    @pytest.mark.parametrize("column", ["id", "price"])
    def test_an_unknown_id_or_price_is_a_bad_value(self, write_csv: Write, column: str) -> None:
        with pytest.raises(DataError, match=rf"column {column}: 1 of 1 must be .*line 2: nothing"):
            datasets.read_file(write_csv({column: " "}))

    def test_bad_values_are_counted_by_column_and_the_first_three_shown(self, write_csv: Write) -> None:
        with pytest.raises(DataError) as error:
            datasets.read_file(write_csv(*[{"price": "-1"}] * 4, {}, *[{"id": "x y", "grade": "0"}] * 2))
        lines = str(error.value).splitlines()
        assert [re.sub(" must.*\\(", " (", line) for line in lines[1:]] == [
            "  column id: 2 of 7 (line 7: 'x y'; line 8: 'x y')",
            "  column price: 4 of 7 (line 2: '-1'; line 3: '-1'; line 4: '-1'; and 1 more)",
            "  column grade: 2 of 7 (line 7: '0'; line 8: '0'). Correct or remove these rows, then run again.",
        ]

    def test_rows_with_too_few_fields_are_counted_and_named_by_their_lines(self, write_csv: Write) -> None:
        path = write_csv({}, {})
        path.write_text(path.read_text() + "\n1,2,3\n")  # after a blank line, which is none
        with pytest.raises(DataError, match=r"fields: 1 of 3 must be 21 as in the header \(line 5: 3\)"):
            datasets.read_file(path)

    def test_all_missing_columns_are_named_that_a_sale_must_have(self, write_csv: Write) -> None:
        columns = tuple(name for name in SALE if name not in ("price", "view", "lat"))
        with pytest.raises(DataError, match=r"lacks the columns price, view; it has id, date.* may have .*lat"):
            datasets.read_file(write_csv({}, columns=columns))

    def test_a_column_given_twice_is_refused(self, write_csv: Write) -> None:
        with pytest.raises(DataError, match="has twice the column price"):
            datasets.read_file(write_csv({}, columns=(*SALE, "price")))

    def test_a_bad_row_of_a_parquet_file_is_named_by_its_number(self, tmp_path: Path) -> None:
        rows = pq.read_table(build_datasets.COMMITTED).slice(0, 3).to_pylist()
        rows[2]["lat"] = 91.5
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sales.parquet")
        with pytest.raises(DataError, match=r"column lat: 1 of 3 must be a number .* \(row 3: '91.5'\)"):
            datasets.read_file(tmp_path / "sales.parquet")

    def test_files_that_are_no_files_of_sales_are_refused(self, tmp_path: Path, write_csv: Write) -> None:
        (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
        (tmp_path / "workbook.csv").write_bytes(b"PK\3\4 and so on")
        (tmp_path / "torn.csv.gz").write_bytes(b"\x1f\x8b and no more")
        for path, error, words in (
            (tmp_path / "torn.parquet", DataError, "cannot be read as Parquet"),
            (tmp_path / "workbook.csv", DataError, "not a CSV file but an archive, a workbook"),
            (tmp_path / "torn.csv.gz", DataError, "cannot be unpacked"),
            (write_csv(), DataError, "has no sales"),
            (tmp_path / "archive.zip", UsageError, r"must end in \.csv, \.tsv, \.csv\.gz or \.parquet"),
            (tmp_path / "none.csv", UsageError, "There is no file"),
        ):
            with pytest.raises(error, match=words):
                datasets.read_file(path)


class TestSplit:
    @given(
        seed=st.integers(),
        shares=st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20)),
        houses=st.lists(st.integers(0, 30), min_size=1, max_size=120),
    )
    def test_sets_share_no_house_and_are_the_input_together(
        self, seed: int, shares: tuple[int, int, int], houses: list[int]
    ) -> None:
        fractions = {f"set {number}": share / sum(shares) for number, share in enumerate(shares)}
        given_sales = sales(*map(str, houses))
        sets = datasets.split(given_sales, fractions, seed)
        ids = [set(part["id"].to_pylist()) for part in sets.values()]
        assert sum(map(len, ids)) == len(set().union(*ids))
        assert sorted(pa.concat_tables(sets.values())["price"].to_pylist()) == given_sales["price"].to_pylist()
        assert all(sets[name].equals(part) for name, part in datasets.split(given_sales, fractions, seed).items())

    @given(seed=st.integers(), shares=st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20)))
    def test_sizes_are_within_one_row_of_the_fractions(self, seed: int, shares: tuple[int, int, int]) -> None:
        resold = [f"resold {number // 2}" for number in range(40)] + ["three times"] * 3
        given_sales = sales(*resold, *map(str, range(160)))
        fractions = {f"set {number}": share / sum(shares) for number, share in enumerate(shares)}
        for name, part in datasets.split(given_sales, fractions, seed).items():
            assert abs(part.num_rows - fractions[name] * given_sales.num_rows) <= 1

    def test_the_defaults_split_the_committed_file_40_50_10(self, committed: pa.Table) -> None:
        sets = datasets.split(committed, build_datasets.fractions(0.4, 0.5, 0.1), 42)
        assert [part.num_rows for part in sets.values()] == [8645, 10807, 2161]

    def test_another_seed_gives_other_sets(self) -> None:
        halves = {"a": 0.5, "b": 0.5}
        given_sales = sales(*map(str, range(100)))
        assert not datasets.split(given_sales, halves, 1)["a"].equals(datasets.split(given_sales, halves, 2)["a"])

    @given(seed=st.integers(), houses=st.lists(st.integers(0, 30), min_size=1, max_size=60))
    def test_houses_that_cannot_be_sent_go_into_the_first_set(self, seed: int, houses: list[int]) -> None:
        given_sales = sales(*map(str, houses))
        rows = [row for row, house in enumerate(houses) if house % 5 == 0]
        sets = datasets.split(given_sales, {"a": 0.9, "b": 0.1}, seed, rows)
        if len(rows) <= int(0.9 * len(houses)):
            assert not any(int(house) % 5 == 0 for house in sets["b"]["id"].to_pylist())
        assert sum(part.num_rows for part in sets.values()) == len(houses)

    def test_resold_houses_are_spread_as_the_others_are(self) -> None:
        given_sales = sales(*[str(number // 2) for number in range(400)], *[f"once {n}" for n in range(4000)])
        part = datasets.split(given_sales, {"a": 0.5, "b": 0.5}, 3)["a"]
        assert 140 < sum(not house.startswith("once") for house in part["id"].to_pylist()) < 260
