"""A file's columns of text -> sales in the types of the history, each once; pure functions."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from jobs.houses.sale_files import report
from jobs.houses.sale_files.forms import COLUMNS, Raw
from jobs.houses.schema import HISTORY
from lakehouse.errors import DataError
from lakehouse.events.contract import Field
from lakehouse.events.times import READABLE

SALE_SCHEMA = pa.schema([HISTORY.arrow_schema.field(field.name) for field in COLUMNS.values()])
NUMBERS = tuple(name for name, field in COLUMNS.items() if field.column not in ("STRING", "TIMESTAMP"))
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_YEAR_FIRST = r"^(?P<year>\d{4})[-/]?(?P<month>\d{2})[-/]?(?P<day>\d{2})(?P<time>[T ]\d{2}:?\d{2}.*)?$"
_MONTH_FIRST = r"^(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?P<time>[T ]\d{1,2}:\d{2}.*)?$"
# A comma, or a point, that cannot separate thousands.
_COMMA = r"^-?(\d+,(\d{1,2}|\d{4,})|0\d*,\d+|\d{1,3}(\.\d{3})+,\d+|\d{4,},\d+)$"
_POINT = r"^-?(\d+\.(\d{1,2}|\d{4,})|0\d*\.\d+|\d{1,3}(,\d{3})+\.\d+|\d{4,}\.\d+)$"
# By decimal sign: numbers in groups of three digits, and the separator of the groups.
_GROUPED = {
    ".": (r"^-?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$", ","),
    ",": (r"^-?[1-9]\d{0,2}(\.\d{3})+(,\d*)?$", r"\."),
}
_SPACED = (r"^-?[1-9]\d{0,2}([ '’\x{a0}\x{202f}]\d{3})+([.,]\d*)?$", r"[ '’\x{a0}\x{202f}]")


@dataclass(frozen=True)
class Sales:
    """The sales of a file, each once; the number of duplicates; how often each fact is unknown."""

    rows: pa.Table
    doubles: int
    unknown: dict[str, int]
    absent: tuple[str, ...]


def convert_sales(raw: Raw) -> Sales:
    """The sales in the types of the history, in an order that depends on their values only.

    Raises DataError, which says by column what cannot be read, how often, and where first.
    """
    sign = _decimal_sign(raw)
    columns, bad = [], {}
    for name, field in COLUMNS.items():
        column, wrong = _convert(raw.text[name], field, sign)
        columns.append(column)
        if rows := pc.indices_nonzero(wrong).to_pylist():
            bad[name] = rows
    if bad or raw.misshapen:
        raise report.refusal(raw, bad)
    if not raw.places:
        raise DataError(f"{raw.name} has no sales.", "Give a file with at least one row.")
    table = pa.table(columns, schema=SALE_SCHEMA)
    once = table.group_by(table.column_names).aggregate([]).cast(SALE_SCHEMA)
    rows = once.sort_by([(name, "ascending") for name in ("id", "listed_at", *SALE_SCHEMA.names)])
    counts = {name: rows[field.name].null_count for name, field in COLUMNS.items()}
    unknown = {name: count for name, count in counts.items() if count and name not in raw.absent}
    return Sales(rows, table.num_rows - rows.num_rows, unknown, raw.absent)


def is_needed(field: Field) -> bool:
    """Whether every sale must have the field; other values may be unknown."""
    return field.name in ("id", "price")


def _decimal_sign(raw: Raw) -> str:
    """The decimal sign, point or comma. Raises DataError when the file has both: 1,234 is ambiguous then."""
    places: dict[str, str] = {}
    for name in NUMBERS:
        plain = _without_currency(raw.text[name])
        for sign, pattern in ((".", _POINT), (",", _COMMA)):
            row = pc.index(pc.match_substring_regex(plain, pattern), True).as_py()
            if row >= 0 and sign not in places:
                places[sign] = f"{raw.unit} {raw.places[row]}, column {name}: {raw.text[name][row].as_py()[:60]!r}"
    if len(places) > 1:
        raise DataError(
            f"{raw.name} has decimal points and decimal commas: {places['.']}; {places[',']}.",
            "Export it again with a point in every number.",
        )
    return next(iter(places), ".")


def _convert(text: pa.Array, field: Field, sign: str) -> tuple[pa.Array, pa.Array]:
    """The column in its type, null where the text breaks the field's rule, and a mask of those places."""
    if field.name == "id":
        values = _ids(text)
    elif field.column == "TIMESTAMP":
        values = _dates(text)
    else:
        values = _numbers(_plain(text, sign), field)
    bad = pc.is_null(values)
    return values, bad if is_needed(field) else pc.and_(bad, pc.is_valid(text))


def _ids(text: pa.Array) -> pa.Array:
    """Ids as the stream writes them: 007 and 7.0 are 7. A float of more than 15 digits has lost some: null."""
    whole = pc.struct_field(pc.extract_regex(text, r"^0*(?P<whole>[1-9]\d*)(?P<point>\.0*)?$"), "whole")
    exact = pc.or_(pc.less_equal(pc.utf8_length(whole), 15), pc.invert(pc.match_substring(text, ".")))
    named = pc.and_(pc.match_substring_regex(text, "^[A-Za-z0-9_-]+$"), pc.match_substring_regex(text, "[^0]"))
    ids = pc.if_else(pc.is_valid(whole), pc.if_else(exact, whole, None), pc.if_else(named, text, None))
    return pc.if_else(pc.less_equal(pc.utf8_length(ids), 64), ids, None)


def _dates(text: pa.Array) -> pa.Array:
    year_first, month_first = pc.extract_regex(text, _YEAR_FIRST), pc.extract_regex(text, _MONTH_FIRST)
    parts = [
        pc.utf8_lpad(pc.coalesce(*(pc.struct_field(form, name) for form in (year_first, month_first))), width, "0")
        for name, width in (("year", 4), ("month", 2), ("day", 2))
    ]
    plain = pc.binary_join_element_wise(*parts, "-")
    plain = pc.if_else(pc.and_(pc.greater_equal(plain, READABLE[0]), pc.less(plain, READABLE[1])), plain, None)
    dates = pc.strptime(plain, format="%Y-%m-%d", unit="us", error_is_null=True)
    # strptime reads 30 February as 2 March: a date that is written differently again is null.
    again = dates.cast(pa.date32()).cast(pa.string())  # strftime needs the machine's time zones, which may lack
    return pc.if_else(pc.equal(again, plain), dates, None).cast(pa.timestamp("us", tz="UTC"))


def _without_currency(text: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(text, r"^(\$|US\$|USD)\s*", "")


def _plain(text: pa.Array, sign: str) -> pa.Array:
    """Numbers with a decimal point and no separator of thousands."""
    text = _without_currency(text)
    for grouped, between in (_GROUPED[sign], _SPACED):
        removed = pc.replace_substring_regex(text, between, "")
        text = pc.if_else(pc.match_substring_regex(text, grouped), removed, text)
    return pc.replace_substring(text, ",", ".") if sign == "," else text


def _numbers(text: pa.Array, field: Field) -> pa.Array:
    numbers = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None).cast(pa.float64())
    valid = pc.and_(pc.greater_equal(numbers, field.low), pc.less_equal(numbers, field.high))
    if field.column == "INT":
        valid = pc.and_(valid, pc.equal(pc.floor(numbers), numbers))
    return pc.if_else(valid, numbers, None).cast(SALE_SCHEMA.field(field.name).type)
