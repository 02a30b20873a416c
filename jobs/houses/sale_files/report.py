"""The error about values of a file that cannot be read: by column and reason, how often, and where first."""

import re
from collections.abc import Mapping, Sequence

from jobs.houses.sale_files.forms import COLUMNS, Raw
from lakehouse.errors import DataError
from lakehouse.events.contract import Field
from lakehouse.events.fields import Kind
from lakehouse.events.times import READABLE

SHOWN = 3
_WHOLE = "Export id as text or as a whole number: what was cut off cannot be known."
_ISO = "Write dates as 2014-10-13."
_AGAIN = "Correct or remove these rows, then run again."
# Pattern of a bad value, what is wrong with it, what to do. The first match counts.
_IDS = (
    (r"\d+([.,]\d*)?[eE]\+?\d+", "in scientific notation, which has lost digits of the id", _WHOLE),
    (r"\d{16,}\.0*", "floats of more than 15 digits, which have lost some", _WHOLE),
)
_DAY_FIRST = r"(1[3-9]|2\d|3[01])/(0?[1-9]|1[0-2])/\d{4}.*"
_DATES = (
    (_DAY_FIRST, "with the day before the month, so that others would be read wrongly", _ISO),
    (r"\d{1,2}[./-]\d{1,2}[./-]\d{2}( .*)?", "with a year of two digits", _ISO),
    (r"\d{1,2}[.-]\d{1,2}[.-]\d{4}.*", "with day and month in an order that may be mixed up", _ISO),
    (r"\d{5}([.,]\d*)?", "a spreadsheet's day numbers", "Format date as a date such as 2014-10-13, then export again."),
)


def refusal(raw: Raw, bad: Mapping[str, Sequence[int]]) -> DataError:
    """The error for a file with these bad rows by column."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    fixes = []
    for name, rows in bad.items():
        for row in rows:
            value = raw.text[name][row].as_py()
            reason, fix = _reason(COLUMNS[name], value)
            shown = "nothing" if value is None else repr(value[:60])
            by_reason.setdefault((f"column {name}", reason), []).append(f"{raw.unit} {raw.places[row]}: {shown}")
            fixes.append(fix)
    if raw.misshapen:
        fields = [f"{raw.unit} {place}: {got}" for place, got in raw.misshapen]
        by_reason["fields", f"must be {raw.width} as in the header"] = fields
        fixes.append(_AGAIN)
    total = len(raw.places) + len(raw.misshapen)
    lines = [_line(*what, total, places) for what, places in by_reason.items()]
    advice = " ".join(dict.fromkeys(sorted(fixes, key=lambda fix: fix == _AGAIN)))
    return DataError(f"{raw.name} has values that cannot be read:{''.join(lines)}.", advice)


def _line(what: str, reason: str, total: int, places: Sequence[str]) -> str:
    more = f"; and {len(places) - SHOWN:,} more" if len(places) > SHOWN else ""
    return f"\n  {what}: {len(places):,} of {total:,} {reason} ({'; '.join(places[:SHOWN])}{more})"


def _reason(field: Field, value: str | None) -> tuple[str, str]:
    """Why the value is invalid, and what to do."""
    forms = _IDS if field.name == "id" else _DATES if field.column == "TIMESTAMP" else ()
    for pattern, reason, fix in forms:
        if value is not None and re.fullmatch(pattern, value):
            return reason, fix
    return rule(field), _AGAIN


def rule(field: Field) -> str:
    """What a value of the field must be."""
    if field.name == "id":
        return "must be a house number of 1 to 64 letters, digits, - and _"
    if field.column == "TIMESTAMP":
        years = f"from {READABLE[0][:4]} to {int(READABLE[1][:4]) - 1}"
        return f"must be a date such as 20141013T000000, 2014-10-13 or 10/13/2014 (month first), {years}, or blank"
    kind = {"INT": "a whole number", "DOUBLE": "a number", Kind.MONEY.column: "a price"}[field.column]
    return f"must be {kind} from {field.low:,} to {field.high:,}{'' if field.name == 'price' else ' or blank'}"
