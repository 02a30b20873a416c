"""Values as PostgreSQL stores them: an array or a struct as jsonb, in which exact values are texts.

In jsonb a decimal and a time are texts (ISO 8601, UTC), bytes are base64, and a double that JSON has no number for is
`NaN`, `Infinity` or `-Infinity`.
"""

import base64
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lakehouse.contract.tables import Table


def stored_as_json(table: Table, column: str) -> bool:
    """Whether the column is a jsonb in PostgreSQL."""
    return table.columns[column] == "JSON" or nested(table.arrow_schema.field(column).type)


def nested(kind: pa.DataType) -> bool:
    """Whether values of the type have parts."""
    return bool(pa.types.is_list(kind) or pa.types.is_struct(kind))


def to_postgres(value: Any, kind: pa.DataType) -> Any:
    """A Python value of an Arrow type as COPY and parameters take it."""
    return json.dumps(_to_json(value), ensure_ascii=False) if nested(kind) and value is not None else value


def from_json(text: str, kind: pa.DataType) -> Any:
    """The text of a jsonb as a Python value of an Arrow type."""
    return _from_json(json.loads(text), kind)


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value).replace("inf", "Infinity").replace("nan", "NaN")


_TO_JSON: dict[type, Callable[[Any], Any]] = {
    datetime: lambda value: value.astimezone(UTC).isoformat(),
    date: date.isoformat,
    Decimal: str,
    bytes: lambda value: base64.b64encode(value).decode(),
    float: _number,
}
_FROM_JSON: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]], ...] = (
    (pa.types.is_timestamp, datetime.fromisoformat),
    (pa.types.is_date, date.fromisoformat),
    (pa.types.is_decimal, Decimal),
    (pa.types.is_binary, base64.b64decode),
    (pa.types.is_floating, float),
)


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_json(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_to_json(part) for part in value]
    convert = _TO_JSON.get(type(value))
    return convert(value) if convert else value


def _from_json(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [_from_json(part, kind.value_type) for part in value]
    if pa.types.is_struct(kind):
        return {field.name: _from_json(value.get(field.name), field.type) for field in kind}
    convert = next((convert for is_kind, convert in _FROM_JSON if is_kind(kind)), None)
    return convert(value) if convert else value
