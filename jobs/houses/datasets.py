"""Sales in files: reading and checking an input file, splitting it by house, and reading the sets that come of it."""

import csv
import hashlib
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.houses.schema import FIELDS, HISTORY, PRICE, Field
from lakehouse.errors import DataError, UsageError
from lakehouse.settings import settings

INITIAL, TO_STREAM, FOR_SALE, FOR_SALE_PRICES = "initial", "to_stream", "for_sale", "for_sale_prices"
MANIFEST = "manifest.json"
# A file's column for each field of a sale; the two that only an event has are left out.
COLUMNS = {
    "date" if field.name == "listed_at" else field.name: field
    for field in FIELDS
    if field.name not in ("sold_at", "event_id")
}
SALE_SCHEMA = pa.schema([HISTORY.arrow_schema.field(field.name) for field in COLUMNS.values()])
SHOWN = 5
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_DATE = r"^(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})(?P<time>[T ]\d{2}:?\d{2}.*)?$"


@dataclass(frozen=True)
class Raw:
    """A file as it was written: each column as text, blanks null, and where each row stands."""

    name: str
    text: Mapping[str, pa.Array]
    places: Sequence[int]
    unit: str  # what a place counts: lines of a CSV, rows of a Parquet file
    problems: tuple[tuple[int, str], ...] = ()


def read_sales(path: Path) -> pa.Table:
    """The sales of a CSV or Parquet file, one row per sale, ordered so that both forms of a file give the same table.

    Raises DataError when the file lacks a column or holds a bad row.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"--input must end in .csv or .parquet; got {path}.", "Unpack an archive first.")
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Give one with --input, or leave it out for the committed one.")
    sales = check(_read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path))
    return sales.sort_by([(name, "ascending") for name in ("id", "listed_at", *SALE_SCHEMA.names)])


def _read_csv(path: Path) -> Raw:
    rows, lines, problems = [], [], []
    try:
        reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        header = [name.strip() for name in next(reader, [])]
        _check_columns(path, header)
        line = reader.line_num + 1  # where a record starts: a quoted field may hold line breaks
        for row in reader:
            if len(row) == len(header):
                rows.append(row)
                lines.append(line)
            elif row:
                problems.append((line, f": must have {len(header)} fields as the header has, got {len(row)}"))
            line = reader.line_num + 1
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}.", "Export it again.") from None
    values = list(zip(*rows, strict=True)) or [()] * len(header)
    text = {name: pa.array(values[header.index(name)], pa.string()) for name in COLUMNS}
    return Raw(path.name, {name: _blank_to_null(column) for name, column in text.items()}, lines, "line", (*problems,))


def _read_parquet(path: Path) -> Raw:
    try:
        _check_columns(path, pq.read_schema(path).names)
        # A file object: from a path, pyarrow would read folders named like a=b as further columns.
        with path.open("rb") as file:
            table = pq.read_table(file, columns=list(COLUMNS)).combine_chunks()
        text = {name: _blank_to_null(table[name].cast(pa.string()).combine_chunks()) for name in COLUMNS}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}", "Export it again.") from None
    return Raw(path.name, text, range(1, table.num_rows + 1), "row")


def _check_columns(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    twice = [name for name in COLUMNS if names.count(name) > 1]
    for what, columns in (("lacks", missing), ("has twice", twice)):
        if columns:
            raise DataError(
                f"{path} {what} the column{'s'[: len(columns) > 1]} {', '.join(columns)}; "
                f"it has {', '.join(names)[:400] or 'none'}.",
                f"A file of sales has each of these once: {', '.join(COLUMNS)}.",
            )


def _blank_to_null(text: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), None, text)


def check(raw: Raw) -> pa.Table:
    """The sales in the types of the history. Raises DataError naming the first bad values and their number."""
    problems, count = list(raw.problems[:SHOWN]), len(raw.problems)
    columns = []
    for name, field in COLUMNS.items():
        column, bad = _convert(raw.text[name], field)
        columns.append(column)
        where = pc.indices_nonzero(bad).to_pylist()
        count += len(where)
        problems += [
            (raw.places[row], f", column {name}: {_rule(field)}, got {_quoted(raw.text[name][row])}")
            for row in where[:SHOWN]
        ]
    if problems:
        raise _bad_values(raw, sorted(problems)[:SHOWN], count)
    if not raw.places:
        raise DataError(f"{raw.name} holds no sales.", "Give a file with at least one row.")
    return pa.table(columns, schema=SALE_SCHEMA)


def _bad_values(raw: Raw, problems: Sequence[tuple[int, str]], count: int) -> DataError:
    listed = "".join(f"\n  {raw.unit} {place}{problem}" for place, problem in problems)
    rest = f"\n  and {count - len(problems):,} more" if count > len(problems) else ""
    what = f"{raw.name} holds {count:,} bad value{'s'[: count > 1]}:{listed}{rest}."
    return DataError(what, "Correct or remove these rows, then run again.")


def _convert(text: pa.Array, field: Field) -> tuple[pa.Array, pa.Array]:
    """The column in its type, null where the text breaks the field's rule, and a mask of those places."""
    if field.name == "id":
        values = pc.utf8_ltrim(pc.if_else(pc.match_substring_regex(text, r"^0*[1-9]\d*$"), text, None), "0")
    elif field.kind == "TIMESTAMP":
        values = _dates(text)
    else:
        values = _numbers(text, field)
    bad = pc.is_null(values)
    return values, bad if _needed(field) else pc.and_(bad, pc.is_valid(text))


def _dates(text: pa.Array) -> pa.Array:
    parts = pc.extract_regex(text, _DATE)
    year, month, day = (pc.struct_field(parts, name) for name in ("year", "month", "day"))
    plain = pc.binary_join_element_wise(year, month, day, "-")
    dates = pc.strptime(plain, format="%Y-%m-%d", unit="us", error_is_null=True)
    # strptime makes 2 March of 30 February: a date that reads back differently is none.
    again = dates.cast(pa.date32()).cast(pa.string())  # strftime needs the machine's time zones, which may lack
    return pc.if_else(pc.equal(again, plain), dates, None).cast(pa.timestamp("us", tz="UTC"))


def _numbers(text: pa.Array, field: Field) -> pa.Array:
    if field.name == "waterfront":  # a boolean in the committed file, 0 or 1 in the original CSV
        text = pc.replace_substring_regex(text, "^[Tt]rue$", "1")
        text = pc.replace_substring_regex(text, "^[Ff]alse$", "0")
    numbers = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None).cast(pa.float64())
    valid = pc.and_(pc.greater_equal(numbers, field.low), pc.less_equal(numbers, field.high))
    if field.kind == "INT":
        valid = pc.and_(valid, pc.equal(pc.floor(numbers), numbers))
    return pc.if_else(valid, numbers, None).cast(SALE_SCHEMA.field(field.name).type)


def _needed(field: Field) -> bool:
    return field.required or field.name == "listed_at"


def _rule(field: Field) -> str:
    if field.name == "id":
        return "must be a house number in digits"
    if field.kind == "TIMESTAMP":
        return "must be a date such as 20141013T000000 or 2014-10-13"
    kind = {"INT": "a whole number", "DOUBLE": "a number", PRICE: "a price"}[field.kind]
    return f"must be {kind} from {field.low:,} to {field.high:,}{'' if _needed(field) else ' or blank'}"


def _quoted(value: pa.Scalar) -> str:
    return repr(value.as_py()[:60]) if value.is_valid else "nothing"


def split(sales: pa.Table, fractions: Mapping[str, float], seed: int) -> dict[str, pa.Table]:
    """Disjoint sets of sales, all of a house's sales in one set; the same sales, fractions and seed give the same sets.

    Each set has its fraction of the rows to within one row, unless houses sold several times leave too few others.
    """
    houses: dict[str, list[int]] = {}
    for row, house in enumerate(sales["id"].to_pylist()):
        houses.setdefault(house, []).append(row)
    draw = random.Random(seed)
    dealt = list(houses.values())
    draw.shuffle(dealt)
    room = _sizes(sales.num_rows, fractions)
    sets: dict[str, list[int]] = {name: [] for name in fractions}
    # Largest first, each into a set drawn by the room left: so a resold house is as likely anywhere as any other house.
    for house in sorted(dealt, key=len, reverse=True):
        fits = [left if left >= len(house) else 0 for left in room.values()]
        name = draw.choices(list(room), fits)[0] if any(fits) else max(room, key=lambda each: room[each])
        sets[name] += house
        room[name] -= len(house)
    return {name: sales.take(pa.array(sorted(rows), pa.int64())) for name, rows in sets.items()}


def _sizes(rows: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Rows per set: its fraction rounded down, and one more for those cut the most until all rows are given out."""
    sizes = {name: int(rows * fraction) for name, fraction in fractions.items()}
    cut = sorted(fractions, key=lambda name: sizes[name] - rows * fractions[name])
    for name in cut[: rows - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def folder() -> Path:
    """Where the sets are."""
    return settings().var / "data/houses"


def read_sets(*names: str) -> list[pa.Table]:
    """The named sets of one build. Raises DataError when there are none or they are of two builds."""
    fix = "Build them with `./spark-submit.sh jobs/houses/build_datasets.py`."
    try:
        manifest = json.loads((folder() / MANIFEST).read_text())
        contents = {name: (folder() / f"{name}.parquet").read_bytes() for name in names}
    except (OSError, ValueError):
        raise DataError(f"The data sets of the houses are not in {folder()}.", fix) from None
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest["sets"][name]["sha256"]:
            raise DataError(f"{folder() / name}.parquet is not of the same build as {MANIFEST}.", fix)
    return [pq.read_table(io.BytesIO(content)) for content in contents.values()]
