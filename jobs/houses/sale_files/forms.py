"""Files of sales as other programs write them -> columns of text, with each value as it is in the file."""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.houses.schema import FIELDS
from lakehouse.errors import DataError, UsageError

# A file's column for each field of a sale; the two that only an event has are left out.
COLUMNS = {
    "date" if field.name == "listed_at" else field.name: field
    for field in FIELDS
    if field.name not in ("sold_at", "event_id")
}
NEEDED = tuple(name for name, field in COLUMNS.items() if field.required)  # columns; a value may still be unknown
ENDINGS = (".csv", ".tsv", ".csv.gz", ".parquet")
_OTHER_NAMES = {
    "listed_at": "date", "latitude": "lat", "longitude": "long", "lon": "long", "lng": "long", "zip": "zipcode",
    "zip_code": "zipcode",
}  # fmt: skip
_UNKNOWN = pa.array(
    ["", "?", "-", "--", ".", "na", "n/a", "#n/a", "#na", "nan", "nat", "null", "none", "<na>", "\\n", "unknown"]
)
# Words for facts, as the county's published files have them.
_YES_NO = {"true": "1", "yes": "1", "y": "1", "t": "1", "false": "0", "no": "0", "n": "0", "f": "0"}
_WORDS = {
    "waterfront": _YES_NO,
    "view": {"none": "0", "fair": "1", "average": "2", "good": "3", "excellent": "4"},
    "condition": {"poor": "1", "fair": "2", "average": "3", "good": "4", "very good": "5"},
    "grade": {},
}
_NUMBER_AND_WORDS = r"^(\d{1,2})[\s-]+[A-Za-z][A-Za-z ,/-]*$"  # 7 Average


@dataclass(frozen=True)
class Raw:
    """The content of a file: each column as text, unknown values null, and the place of each row."""

    name: str
    text: Mapping[str, pa.Array]
    places: Sequence[int]
    unit: str  # what a place counts: lines of a CSV, rows of a Parquet file
    absent: tuple[str, ...] = ()  # columns that the file does not have
    misshapen: tuple[tuple[int, int], ...] = ()  # place and number of fields of each row that has too few or too many
    width: int = 0


def read_columns(path: Path) -> Raw:
    """The columns of sales in a file. Raises UsageError for another kind of file, DataError for a malformed one."""
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        fix = "Unpack an archive first; save a workbook as CSV."
        raise UsageError(f"--input must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; got {path}.", fix)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Give one with --input, or leave it out for the committed one.")
    return _read_parquet(path) if name.endswith(".parquet") else _read_csv(path)


def _read_csv(path: Path) -> Raw:
    text = _decoded(path)
    rows: list[list[str]] = []
    lines, misshapen = [], []
    try:
        records = _records(text, _separator(text))
        _, header = next(records, (0, []))
        names = [_column(name) for name in header]
        at = _positions(path, names, header)
        width = max((place for place, name in enumerate(names, 1) if name), default=0)  # a comma may end the header
        for line, row in records:
            if width <= len(row) and not any(row[len(header) :]):
                rows.append(row)
                lines.append(line)
            else:
                misshapen.append((line, len(row)))
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}.", "Export it again.") from None
    columns = {name: pa.array([row[place] for row in rows], pa.string()) for name, place in at.items()}
    return _raw(path, columns, lines, "line", misshapen=tuple(misshapen), width=width)


def _decoded(path: Path) -> str:
    """The text of a file in any encoding that spreadsheets write.

    What is not UTF-8 is read as Latin-1: values of our columns are ASCII, so it does not matter there.
    """
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be unpacked: {error}.", "Export it again.") from None
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:2]:  # UTF-16 without its mark, of ASCII
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    if data[:4] == b"PK\3\4" or b"\0" in data:
        raise DataError(f"{path} is not a CSV file but an archive, a workbook or the like.", "Save it as CSV.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _separator(text: str) -> str:
    """The separator of the fields: the one that finds the most known columns in the header."""
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    if named := re.match(r"sep=(.)\s*$", first, re.IGNORECASE):
        return named[1]

    def count_known(sign: str) -> int:
        return sum(_column(name) in COLUMNS for name in next(csv.reader([first], delimiter=sign), []))

    return max(",;\t|", key=count_known)


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with its first line: a quoted field may contain line breaks."""
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=separator, skipinitialspace=True)
    line = 1
    for row in reader:
        fields = [field.strip() for field in row]
        if any(fields) and not (line == 1 and re.fullmatch(r"sep=.?", "".join(fields), re.IGNORECASE)):
            yield line, fields
        line = reader.line_num + 1


def _column(name: str) -> str:
    """Our name of a column: `Sqft Living` is sqft_living."""
    plain = re.sub(r"[\s_.-]+", "_", name.strip().lower())
    return _OTHER_NAMES.get(plain, plain)


def _positions(path: Path, names: Sequence[str], header: Sequence[str]) -> dict[str, int]:
    """The position of each column of a sale; others are ignored. Raises DataError for a missing or repeated one."""
    missing = [name for name in NEEDED if name not in names]
    twice = [name for name in COLUMNS if names.count(name) > 1]
    for what, columns in (("lacks", missing), ("has twice", twice)):
        if columns:
            raise DataError(
                f"{path} {what} the column{'s'[: len(columns) > 1]} {', '.join(columns)}; "
                f"it has {', '.join(name for name in header if name)[:400] or 'none'}.",
                f"A file of sales has each of these once: {', '.join(NEEDED)}; "
                f"and may have {', '.join(name for name in COLUMNS if name not in NEEDED)}.",
            )
    return {name: names.index(name) for name in COLUMNS if name in names}


def _read_parquet(path: Path) -> Raw:
    try:
        header = pq.read_schema(path).names
        at = _positions(path, [_column(name) for name in header], header)
        # A file object: from a path, pyarrow would read folders named like a=b as further columns.
        with path.open("rb") as file:
            table = pq.read_table(file, columns=[header[place] for place in at.values()]).combine_chunks()
        columns = {name: _as_text(path, name, table[header[place]].combine_chunks()) for name, place in at.items()}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}", "Export it again.") from None
    return _raw(path, columns, range(1, table.num_rows + 1), "row")


def _as_text(path: Path, name: str, column: pa.Array) -> pa.Array:
    if name == "id" and pa.types.is_float64(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        if pc.all(pc.less(column, 1e15)).as_py() is not False:  # beyond, a float has lost digits
            column = column.cast(pa.int64())
    elif name == "id" and pa.types.is_floating(column.type):
        raise DataError(f"{path}: the column id is of {column.type}, which has lost digits.", "Export it as text.")
    return column.cast(pa.string())


def _raw(
    path: Path,
    columns: Mapping[str, pa.Array],
    places: Sequence[int],
    unit: str,
    misshapen: tuple[tuple[int, int], ...] = (),
    width: int = 0,
) -> Raw:
    absent = tuple(name for name in COLUMNS if name not in columns)
    text = {name: _in_one_form(name, columns.get(name, pa.nulls(len(places), pa.string()))) for name in COLUMNS}
    return Raw(path.name, text, places, unit, absent, misshapen, width)


def _in_one_form(name: str, text: pa.Array) -> pa.Array:
    """Unknown values as null, words as their codes."""
    text = pc.utf8_trim_whitespace(text)
    codes = _WORDS.get(name)
    if codes is not None:
        text = pc.replace_substring_regex(text, _NUMBER_AND_WORDS, r"\1")
        for word, code in codes.items():  # before unknown values: a view of NONE is known
            text = pc.if_else(pc.equal(pc.utf8_lower(text), word), code, text)
    return pc.if_else(pc.is_in(pc.utf8_lower(text), value_set=_UNKNOWN), None, text)
