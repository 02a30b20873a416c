"""Records read as columns: what Arrow takes is an object by the strict reader, with the same values."""

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.audit import json_columns, json_records
from lakehouse.audit.json_columns import FEWEST
from lakehouse.kafka.reader import Record
from tests.lakehouse.audit.test_json_records import NO_OBJECTS, OBJECTS

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int32()), ("f", pa.float64())])
STRANGE: list[bytes | None] = [
    None,
    *NO_OBJECTS,
    *(value if isinstance(value, bytes) else value.encode() for value in OBJECTS),
    b'{"n": 1}\x00{"n": 2}',
    b'{"n": 1}\n{"n": 2}',
    b'{\n"n": 1}',
    b'{"n": 1}{"n": 2}',
    b'{"n": 1}}',
    b'{"x": [1,}',
    b'{"id": "}',
    b'{"x": nan}',
    b'{"x": -Inf}',
    b'{"f": 1e999}',
    b'{"x": "\xff"}',
    b'{"n": 1, "n": 1}',
    b'{"n": null, "n": 1}',
    b'{"x": 1, "x": "NaN"}',
    b'{"n": 3.0}',
    b'{"n": "3"}',
    b'{"n": true}',
    b'{"n": 2147483648}',
    b'{"id": 71}',
    b'{"f": 7, "n": -0, "x": {"n": 2}}',
    b'{"x": ' + b"[" * 400 + b"]" * 400 + b"}",
]


def plain(count: int) -> list[Record]:
    return [Record(n, 0, None, json.dumps({"id": str(n), "n": n, "f": n / 7}).encode()) for n in range(count)]


@pytest.mark.parametrize("value", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("at", [0, 50, 99])
def test_columns_have_what_the_strict_reader_reads(value: bytes | None, at: int) -> None:
    records = plain(100)
    records[at] = records[at]._replace(value=value)
    parts = list(json_columns.read(records, SCHEMA))
    assert [record for _table, part in parts for record in part] == records
    assert sum(len(part) for table, part in parts if table is not None) >= 25
    for table, part in parts:
        if table is None:
            assert records[at] in part
            continue
        for row, record in zip(table.to_pylist(), part, strict=True):
            read = json_records.object_of(record.value)
            assert row == {name: as_column(name, read.get(name)) for name in SCHEMA.names}


def as_column(name: str, value: Any) -> Any:
    kinds: dict[str, Any] = {"id": str, "n": lambda text: int(Decimal(text)), "f": float}
    return None if value is None else kinds[name](value)


def test_usual_records_are_read_as_one_table() -> None:
    (one,) = json_columns.read(plain(1000), SCHEMA)
    assert one[0] is not None
    assert [part[0] for part in json_columns.read(plain(FEWEST - 1), SCHEMA)] == [None]
    assert list(json_columns.read([], SCHEMA)) == []
