"""The types that a contract's columns may have, as Arrow and as Spark write them.

STRING, BINARY, BOOLEAN, INT, BIGINT, DOUBLE, DATE, TIMESTAMP, DECIMAL(p,s), JSON, ARRAY<type>, STRUCT<name: type, …>;
the last two of any of these. JSON is a text in Delta.
"""

import functools
import re
from collections.abc import Iterator, Mapping

import pyarrow as pa

from lakehouse.errors import LakeError

_ARROW_TYPES = {
    "STRING": pa.string(),
    "JSON": pa.string(),
    "BINARY": pa.binary(),
    "BOOLEAN": pa.bool_(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}
_SPARK_NAMES = {kind: name for name, kind in _ARROW_TYPES.items() if name != "JSON"}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Columns (name to SQL type) as an Arrow schema. Raises LakeError for a type that contracts do not have."""
    return pa.schema([(name, arrow_type(kind)) for name, kind in columns.items()])


@functools.cache
def arrow_type(kind: str) -> pa.DataType:
    """A SQL type as an Arrow type. Raises LakeError for a type that contracts do not have."""
    kind = kind.strip()
    if decimal := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", kind):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    if array := re.fullmatch(r"ARRAY<(.+)>", kind):
        return pa.list_(arrow_type(array[1]))
    if struct := re.fullmatch(r"STRUCT<(.+)>", kind):
        fields = (part.partition(":") for part in _parts(struct[1]))
        return pa.struct([(name.strip(), arrow_type(of)) for name, _, of in fields])
    if kind not in _ARROW_TYPES:
        known = ", ".join([*_ARROW_TYPES, "DECIMAL(p,s)", "ARRAY<…>", "STRUCT<name: …>"])
        raise LakeError(f"A contract has no type {kind!r}.", f"Use one of {known}.")
    return _ARROW_TYPES[kind]


def spark_type(kind: str) -> str:
    """A SQL type as Spark's DDL writes it."""
    return spark_name(arrow_type(kind))


def spark_name(kind: pa.DataType) -> str:
    """An Arrow type as Spark's DDL writes it; one that contracts do not have by Arrow's name."""
    if pa.types.is_list(kind):
        return f"ARRAY<{spark_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"STRUCT<{', '.join(f'`{field.name}`: {spark_name(field.type)}' for field in kind)}>"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return _SPARK_NAMES.get(kind, str(kind))


def _parts(fields: str) -> Iterator[str]:
    """The fields of a struct: a comma within brackets separates none."""
    depth, start = 0, 0
    for at, letter in enumerate(fields):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and not depth:
            yield fields[start:at]
            start = at + 1
    yield fields[start:]
