"""Typed records that processes leave for one another as JSON: dataclasses, stored with the number of their format.

A file without a number was written before there were any; it is format 0.
"""

import functools
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter

from lakehouse.errors import NewerFormatError

Record = TypeVar("Record")


def to_dict(record: Any) -> dict[str, Any]:
    """The record's fields as JSON has them; those that are None are left out."""
    kind: Any = type(record)
    fields: dict[str, Any] = _adapter(kind).dump_python(record, mode="json", by_alias=True, exclude_none=True)
    return fields


def from_dict(kind: type[Record], values: Mapping[str, Any]) -> Record:
    """The record with these fields; others are left out. Raises ValueError when they do not make one."""
    record: Record = _adapter(kind).validate_python(values)  # type: ignore[arg-type]  # mypy: a class is not hashable
    return record


def check_format(values: Mapping[str, Any], newest: int, what: str) -> int:
    """The format that the record was stored in. Raises NewerFormatError when a newer version wrote it."""
    number = values.get("format", 0)
    if not isinstance(number, int) or number > newest:
        raise NewerFormatError(what, number, newest)
    return number


@functools.cache
def _adapter(kind: type[Any]) -> Any:
    return TypeAdapter(kind)
