"""The values of one field of many events as an Arrow column, and which of them are not in their usual form."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contract.arrow_types import arrow_type
from lakehouse.events import times
from lakehouse.events.contract import Field
from lakehouse.events.fields import Kind

_USUAL_TIME = r"^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?Z$"
_WHOLE_TEXT = r"^-?\d+\.0+$"
_MICROS = pa.timestamp("us", tz="UTC")
_NEAR = 1e-4  # of a cent: how near to a half an amount is read by its own digits
Unusual = Sequence[int]
Column = tuple[pa.Array, Unusual]  # the column, and the numbers of the values that are not in it


def column(field: Field, values: list[Any]) -> Column:
    """The values, as the JSON decoder gave them, as a column of the field's type; null for what is not usual."""
    return _BUILDERS[field.kind](field, values)


def checks(field: Field) -> bool:
    """Whether a value can be unusual though the JSON decoder took it."""
    return field.kind in (Kind.TEXT, Kind.TIME, Kind.TIME_OR_DAY, Kind.MONEY)


def usual(field: Field) -> Any:
    """Some value in its usual form."""
    if field.kind is Kind.TEXT:
        return "0"
    if field.kind in (Kind.TIME, Kind.TIME_OR_DAY):
        return times.text_of(0)
    return field.low or 0


def _plain(field: Field, values: list[Any]) -> Column:
    return pa.array(values, arrow_type(field.kind.column)), ()


def _flag(field: Field, values: list[Any]) -> Column:
    return _plain(field, [None if value is None else int(value) for value in values])


def _text(field: Field, values: list[Any]) -> Column:
    others = [n for n, value in enumerate(values) if type(value) is not str and value is not None]
    texts = pa.array(_without(values, others), pa.string())
    unusual = pc.match_substring_regex(texts, _WHOLE_TEXT)
    if field.letters:
        unusual = pc.or_(unusual, pc.invert(pc.match_substring_regex(texts, f"^(?:{field.letters.pattern})$")))
        if field.letters.has:
            unusual = pc.or_(unusual, pc.invert(pc.match_substring_regex(texts, field.letters.has)))
    return texts, [*others, *_where(unusual)]


def _time(field: Field, values: list[Any]) -> Column:
    try:
        texts = pa.array(values, pa.string())
        if pc.all(pc.match_substring_regex(texts, _USUAL_TIME)).as_py() is not False:
            micros = texts.cast(_MICROS)
            if not _where(_out_of_range(micros.cast(pa.int64()))):
                return micros, ()
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        pass
    found = [None if value is None else _micros(field, value) for value in values]
    unusual = [n for n, value in enumerate(values) if value is not None and found[n] is None]
    return pa.array(found, pa.int64()).cast(_MICROS), unusual


def _out_of_range(micros: pa.Array) -> pa.Array:
    earliest, latest = times.RANGE
    return pc.or_(pc.less(micros, earliest), pc.greater(micros, latest))


def _micros(field: Field, value: Any) -> int | None:
    """Microseconds of an ISO 8601 text or of whole milliseconds; None for what is to be read by its own digits."""
    try:
        if type(value) is str:
            return times.micros_of_text(value, day_is_taken=field.kind is Kind.TIME_OR_DAY)
        return times.micros_of_number(value) if type(value) is int else None
    except times.NoTime:
        return None


def _money(field: Field, values: list[Any]) -> Column:
    amounts = np.array(values, dtype=np.float64)  # None is NaN
    cents = amounts * 100
    missing = np.isnan(amounts)
    with np.errstate(invalid="ignore"):
        tie = np.abs(cents - np.floor(cents) - 0.5) < _NEAR
    whole = np.where(missing | tie, 0, np.floor(cents + 0.5)).astype(np.int64)
    wide = np.column_stack([whole, whole >> 63])  # a decimal of 128 bits, low half first
    null = pa.array(missing | tie)
    valid = None if not (missing | tie).any() else pc.invert(null).buffers()[1]
    column = pa.Array.from_buffers(arrow_type(field.kind.column), len(values), [valid, pa.py_buffer(wide)])
    return column, np.flatnonzero(tie).tolist()


def _without(values: list[Any], others: Sequence[int]) -> list[Any]:
    if not others:
        return values
    left_out = set(others)
    return [None if n in left_out else value for n, value in enumerate(values)]


def _where(mask: pa.Array) -> list[int]:
    """The numbers of the rows where it is true."""
    if not pc.any(mask).as_py():
        return []
    return np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).tolist()


_BUILDERS: dict[Kind, Callable[[Field, list[Any]], Column]] = {
    Kind.TEXT: _text,
    Kind.WHOLE: _plain,
    Kind.LONG: _plain,
    Kind.REAL: _plain,
    Kind.MONEY: _money,
    Kind.FLAG: _flag,
    Kind.TIME: _time,
    Kind.TIME_OR_DAY: _time,
}
