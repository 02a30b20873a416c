"""Types of a contract's columns: nested ones, and what is no type."""

import pyarrow as pa
import pytest

from lakehouse.contract.arrow_types import arrow_type, spark_type
from lakehouse.errors import LakeError

NESTED = "ARRAY<STRUCT<sku: STRING, price: DECIMAL(12, 2), tags: ARRAY<STRING>, more: JSON>>"


def test_nested_types_are_read_whole() -> None:
    line = [
        ("sku", pa.string()),
        ("price", pa.decimal128(12, 2)),
        ("tags", pa.list_(pa.string())),
        ("more", pa.string()),
    ]
    assert arrow_type(NESTED) == pa.list_(pa.struct(line))


def test_spark_knows_json_as_a_text() -> None:
    of_line = "`sku`: STRING, `price`: DECIMAL(12,2), `tags`: ARRAY<STRING>, `more`: STRING"
    assert spark_type(NESTED) == f"ARRAY<STRUCT<{of_line}>>"
    assert spark_type("JSON") == "STRING"


@pytest.mark.parametrize("kind", ["TEXT", "ARRAY<TEXT>", "STRUCT<a>", "STRUCT<a: INT", "DECIMAL(12)", ""])
def test_what_is_no_type_is_named_with_those_there_are(kind: str) -> None:
    with pytest.raises(LakeError, match=r"A contract has no type '.*'\. Use one of STRING, JSON, "):
        arrow_type(kind)
