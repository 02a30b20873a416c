"""Files of sales as other programs write them: each form is read, or refused with the reason and what to do."""

import csv
import gzip
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.houses import build_datasets, datasets
from jobs.houses.sale_files.forms import COLUMNS, Raw
from jobs.houses.sale_files.values import Sales, convert_sales
from lakehouse.errors import DataError

CASES = Path(__file__).parents[2] / "cases"
FLATIRON = CASES / "08-flatiron"
FORMS = CASES / "09-csv-forms"
PLAIN = FORMS / "g-every-row-twice.csv"  # as we have it each row stands there once, in the original's form
SALE = {
    "id": "7129300520", "date": "20141013T000000", "price": "221900", "bedrooms": "3", "bathrooms": "1.25",
    "sqft_living": "1180", "sqft_lot": "5650", "floors": "1", "waterfront": "0", "view": "0", "condition": "3",
    "grade": "7", "sqft_above": "1180", "sqft_basement": "0", "yr_built": "1955", "yr_renovated": "0",
    "zipcode": "98178", "lat": "47.5112", "long": "-122.257", "sqft_living15": "1340", "sqft_lot15": "5650",
}  # fmt: skip


def originals(path: Path) -> list[dict[str, Any]]:
    """The rows of a file as csv reads them."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read(path: Path, data: str | bytes) -> Sales:
    """What a file of this content is read as."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return datasets.read_file(path)


def text(*rows: Mapping[str, str], separator: str = ",", quote: bool = False) -> str:
    """A CSV of these rows."""
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(out, list(rows[0]), delimiter=separator, quoting=quoting, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


class TestFlatiron:
    """The form with blanks, question marks, words and month/day/year."""

    def test_blanks_and_question_marks_are_unknown_facts(self) -> None:
        given_rows = {row["id"]: row for row in originals(FLATIRON / "kc_house_data-v1.csv")}
        sales = datasets.read_file(FLATIRON / "kc_house_data-v1.csv")
        assert sales.rows.num_rows == len(given_rows) == 119
        assert sales.unknown == {"waterfront": 15, "view": 3, "sqft_basement": 4, "yr_renovated": 20}
        for sale in sales.rows.to_pylist():
            row = given_rows[sale["id"]]
            month, day, year = row["date"].split("/")
            assert f"{sale['listed_at']:%Y-%m-%d}" == f"{year}-{int(month):02d}-{int(day):02d}"
            for name in set(COLUMNS) - {"id", "date"}:
                expected = None if row[name] in ("", "?") else float(row[name])
                assert (None if sale[name] is None else float(sale[name])) == expected, (name, row)

    @pytest.mark.parametrize("form", ["v1-only-blanks-left", "v2-words"])
    def test_words_are_their_codes_and_forms_of_dates_are_alike(self, form: str) -> None:
        first = datasets.read_file(FLATIRON / "kc_house_data-v1.csv").rows
        assert datasets.read_file(FLATIRON / f"kc_house_data-{form}.csv").rows.equals(first)


class TestForms:
    def test_the_plain_form_is_what_stands_there(self) -> None:
        rows = {row["id"]: row for row in originals(PLAIN)}
        sales = datasets.read_file(PLAIN).rows.to_pylist()
        assert len(sales) == len(rows) == 79
        assert sum(int(row["price"]) for row in rows.values()) == sum(sale["price"] for sale in sales)
        assert all(sale["grade"] == int(rows[sale["id"]]["grade"]) for sale in sales)

    @pytest.mark.parametrize("form", ["a-comma-after-the-header", "f-ids-as-floats", "o-iso-dates-bool-words"])
    def test_another_form_gives_the_same_sales(self, form: str) -> None:
        assert datasets.read_file(FORMS / f"{form}.csv").rows.equals(datasets.read_file(PLAIN).rows)

    def test_words_for_missing_values_are_unknown_facts(self) -> None:
        rows = originals(FORMS / "r-missing-value-words.csv")
        sales = datasets.read_file(FORMS / "r-missing-value-words.csv")
        counted = {name: sum(not re.match(r"[\d-]+", row[name]) for row in rows) for name in COLUMNS}
        assert sales.unknown == {name: count for name, count in counted.items() if count}
        assert sales.unknown["yr_renovated"] == 76
        assert sales.rows["price"].equals(datasets.read_file(PLAIN).rows["price"])

    def test_ten_columns_are_enough(self) -> None:
        sales, plain = datasets.read_file(FORMS / "i-ten-columns.csv"), datasets.read_file(PLAIN).rows
        assert len(sales.absent) == 11
        for name in ("id", "price", "bedrooms", "waterfront", "yr_built"):
            assert sales.rows[name].equals(plain[name])
        assert sales.rows["lat"].null_count == sales.rows["listed_at"].null_count == 79
        assert not sales.unknown, "what a whole file lacks is a finding of its own"

    def test_ids_that_have_lost_digits_are_refused_with_the_column_and_what_to_do(self) -> None:
        with pytest.raises(DataError) as error:
            datasets.read_file(FORMS / "e-ids-scientific.csv")
        message = str(error.value)
        assert "column id: 79 of 79 in scientific notation, which has lost digits" in message
        assert "(line 2: '8.5628e+09'; line 3: '8.1297e+09'; line 4: '4.0707e+09'; and 76 more)" in message
        assert message.endswith("Export id as text or as a whole number: what was cut off cannot be known.")

    def test_doubles_are_kept_once_and_counted(self, tmp_path: Path) -> None:
        head, *rows = PLAIN.read_text().splitlines()
        sales = read(tmp_path / "twice.csv", "\n".join([head, *(row for row in rows for _ in range(2))]))
        assert sales.rows.equals(datasets.read_file(PLAIN).rows)
        assert sales.doubles == 79
        assert "79 rows were duplicates: each sale is kept once." in build_datasets.notes(sales)

    def test_a_house_sold_again_is_no_double(self, tmp_path: Path) -> None:
        sales = read(tmp_path / "again.csv", text(SALE, {**SALE, "date": "20150413T000000"}))
        assert (sales.rows.num_rows, sales.doubles) == (2, 0)


Make = Callable[[], str | bytes]
_INDEXED = {"": "0", "Unnamed: 0": "0", **SALE, "remark": "Straße, «schön»"}
READ: dict[str, Make] = {
    "a byte order mark": lambda: "\ufeff" + text(SALE),
    "UTF-16, as Excel's Unicode text": lambda: text(SALE, separator="\t").encode("utf-16"),
    "UTF-16, big-endian, without its mark": lambda: text(SALE).encode("utf-16-be"),
    "UTF-16 without its mark": lambda: text(SALE).encode("utf-16-le"),
    "Windows-1252": lambda: text(_INDEXED).encode("cp1252"),
    "semicolons": lambda: text(SALE, separator=";"),
    "semicolons, as Excel declares them": lambda: "sep=;\n" + text(SALE, separator=";"),
    "tabs": lambda: text(SALE, separator="\t"),
    "decimal commas": lambda: text(SALE, separator=";").replace(".", ","),
    "decimal commas, grouped": lambda: text({**SALE, "price": "221.900,00"}, separator=";").replace(
        "47.5112;-122.257", "47,5112;-122,257"
    ).replace(";1.25;", ";1,25;"),
    "dollars": lambda: text({**SALE, "price": "$221,900.00", "sqft_lot": "5,650"}),
    "spaces between thousands": lambda: text({**SALE, "price": "221\u202f900", "sqft_lot": "5 650"}),
    "quoted numbers": lambda: text(SALE, quote=True),
    "blanks around": lambda: text(SALE, quote=True).replace(",", " , ").replace('"3"', '" 3 "'),
    "an index and more columns": lambda: text(_INDEXED),
    "columns in another order": lambda: text(dict(reversed(SALE.items()))),
    "other names": lambda: text(SALE).replace("id,", "Id,").replace("sqft_living,", "Sqft Living,", 1).replace(
        "zipcode,lat,long", "ZIP,Latitude,Longitude"
    ),
    "blank lines at the end": lambda: text(SALE) + "\n\n" + "," * 20 + "\n \n",
    "CRLF": lambda: text(SALE).replace("\n", "\r\n"),
    "CR": lambda: text(SALE).replace("\n", "\r"),
    "commas at the end of rows": lambda: text(SALE).replace("5650\n", "5650,,\n"),
    "commas at the end of all lines": lambda: text(SALE).replace("\n", ",\n"),
    "gzip": lambda: gzip.compress(text(SALE).encode()),
    "floats": lambda: text({n: f"{v}.0" if v.isdigit() and n != "id" else v for n, v in SALE.items()}),
    "a time with the day": lambda: text({**SALE, "date": "10/13/2014 0:00"}),
    "a day with slashes": lambda: text({**SALE, "date": "2014/10/13"}),
    "words with codes": lambda: text({**SALE, "grade": "7 Average", "condition": "3 - Average", "view": "None"}),
    "leading zeros": lambda: text({**SALE, "id": "07129300520"}),
}  # fmt: skip


@pytest.mark.parametrize("form", READ)
def test_a_form_is_read(tmp_path: Path, form: str) -> None:
    expected = read(tmp_path / "plain.csv", text(SALE))
    sales = read(tmp_path / "other.csv", READ[form]())
    assert sales.rows.to_pylist() == expected.rows.to_pylist()
    assert (sales.unknown, sales.absent, sales.rows["price"].to_pylist()[0]) == ({}, (), 221900)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"date": "13/10/2014"}, "column date: 1 of 2 with the day before the month, .*Write dates as 2014-10-13"),
        ({"date": "10/13/14"}, "column date: 1 of 2 with a year of two digits"),
        ({"date": "41925"}, "column date: 1 of 2 a spreadsheet's day numbers .*Format date as a date"),
        ({"date": "13.10.2014"}, "day and month in an order that may be mixed up"),
        ({"id": "7.1293E+09"}, "column id: 1 of 2 in scientific notation"),
        ({"id": "7,1293E+09"}, "column id: 1 of 2 in scientific notation"),
        ({"id": "1234567890123456.0"}, "floats of more than 15 digits"),
        ({"bathrooms": "1,25"}, "has decimal points and decimal commas: line 2, column bathrooms: '1.25'; line 3"),
        ({"bedrooms": "#VALUE!"}, r"column bedrooms: 1 of 2 must be a whole number .*#VALUE!"),
    ],
)
def test_a_form_is_refused_with_the_reason(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=f"(?s){words}"):
        read(tmp_path / "other.csv", text(SALE, {**SALE, **changed}))


@pytest.mark.parametrize("name", ["kc.csv", "kc.tsv", "KC.CSV", "kc.csv.gz"])
def test_names_of_text_files(tmp_path: Path, name: str) -> None:
    assert read(tmp_path / name, text(SALE)).rows.num_rows == 1


def test_parquet_of_pandas_with_float_ids_and_gaps(tmp_path: Path) -> None:
    columns = {name: [value, value] for name, value in SALE.items()}
    typed = {"id": [7129300520.0, 1.0], "waterfront": [float("nan"), 1.0], "grade": [None, 7.0]}
    pq.write_table(pa.table(columns | typed), tmp_path / "kc.parquet")
    first, second = datasets.read_file(tmp_path / "kc.parquet").rows.to_pylist()
    assert (first["id"], second["id"]) == ("1", "7129300520")
    assert (first["waterfront"], second["waterfront"], second["grade"]) == (1, None, None)
    pq.write_table(pa.table(columns | {"id": pa.array([7129300520.0, 1.0], pa.float32())}), tmp_path / "kc.parquet")
    with pytest.raises(DataError, match="column id is of float, which has lost digits"):
        datasets.read_file(tmp_path / "kc.parquet")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["3", "", "?", "x", "-1", "1e9", "2.5", "$"]), min_size=1, max_size=40))
def test_the_counts_of_a_column_add_up(values: list[str]) -> None:
    columns = {name: pa.array([SALE[name]] * len(values), pa.string()) for name in COLUMNS}
    bedrooms = pa.array([None if value in ("", "?") else value for value in values], pa.string())
    ids = pa.array([str(row + 1) for row in range(len(values))])
    raw = Raw("kc.csv", {**columns, "id": ids, "bedrooms": bedrooms}, range(2, len(values) + 2), "line")
    bad = [at for at, value in enumerate(values, 2) if value in ("x", "-1", "1e9", "2.5", "$")]
    if not bad:
        sales = convert_sales(raw)
        assert sales.rows.num_rows == len(values)
        assert sales.rows["bedrooms"].null_count == sales.unknown.get("bedrooms", 0) == bedrooms.null_count
        return
    with pytest.raises(DataError) as error:
        convert_sales(raw)
    assert f"column bedrooms: {len(bad)} of {len(values)} must be" in str(error.value)
    assert [int(line) for line in re.findall(r"line (\d+)", str(error.value))] == bad[:3]
