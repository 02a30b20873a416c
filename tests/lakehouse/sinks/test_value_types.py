"""Values of every type of a contract, written by each library that writes and read by each that reads."""

import json
import string
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.contract.arrow_types import arrow_type
from lakehouse.contract.tables import SERVING_PROPERTIES, Table
from lakehouse.sinks import postgres, postgres_schema
from lakehouse.tables import loads, table_io
from lakehouse.tables.reader import TableReader

SCALARS = {
    "s": "STRING", "x": "BINARY", "b": "BOOLEAN", "i": "INT", "l": "BIGINT", "d": "DOUBLE", "day": "DATE",
    "at": "TIMESTAMP", "p": "DECIMAL(12,2)", "j": "JSON",
}  # fmt: skip
OF_ALL = f"STRUCT<{', '.join(f'{name}: {kind}' for name, kind in SCALARS.items())}>"
COLUMNS = {"k": "BIGINT", **SCALARS, "a": "ARRAY<STRING>", "o": OF_ALL, "lines": f"ARRAY<{OF_ALL}>",
           "deep": f"STRUCT<of: ARRAY<ARRAY<INT>>, one: {OF_ALL}>"}  # fmt: skip

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC).replace(tzinfo=None)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)  # PostgreSQL has no zero
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "STRING": text,
    "JSON": st.dictionaries(st.text(string.ascii_letters), st.integers() | text, max_size=2).map(json.dumps),
    "BINARY": st.binary(max_size=8),
    "BOOLEAN": st.booleans(),
    "INT": st.integers(-(2**31), 2**31 - 1),
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "DOUBLE": st.floats(allow_nan=False),
    "DATE": st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    "TIMESTAMP": st.datetimes(EARLIEST, EARLIEST.replace(year=2200), timezones=st.just(UTC)),
    "DECIMAL(12,2)": st.decimals(-(10**9), 10**9, places=2),
}


def values(kind: pa.DataType, json_at: str = "") -> st.SearchStrategy[Any]:
    """Values of a type, and null."""
    if pa.types.is_list(kind):
        return st.none() | st.lists(values(kind.value_type), max_size=3)
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values(field.type, field.name) for field in kind})
    name = next(name for name in VALUES if arrow_type(name) == kind and (name == "JSON") == (json_at == "j"))
    return st.none() | VALUES[name]


rows = st.lists(
    st.fixed_dictionaries({name: values(arrow_type(kind), name) for name, kind in COLUMNS.items() if name != "k"}),
    min_size=1,
    max_size=4,
)


def table(name: str) -> Table:
    return Table(f"types_{name}", "everything", COLUMNS, ("k",), "a column of each type", SERVING_PROPERTIES)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its JSON as values: PostgreSQL orders the names in it."""
    return {**row, "j": row["j"] and json.loads(row["j"])}


def by_key(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(map(plain, found), key=lambda row: row["k"])


relaxed = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(given_rows=rows)
@pytest.mark.usefixtures("lake")
def test_an_upsert_into_delta_brings_every_value_back(given_rows: list[dict[str, Any]]) -> None:
    keyed = [{"k": number, **row} for number, row in enumerate(given_rows)]
    of_all = table(uuid.uuid4().hex)
    delta = table_io.create(of_all)
    table_io.append(delta, table_io.rows(of_all, [{"k": 0}]), "app", 0)
    table_io.upsert(delta, table_io.rows(of_all, keyed), of_all.keys, "app", 1)
    assert by_key(table_io.read(of_all).to_pylist()) == by_key(keyed)


@relaxed
@given(given_rows=rows)
@pytest.mark.usefixtures("postgres_lake")
def test_a_copy_and_an_upsert_into_postgresql_bring_every_value_back(given_rows: list[dict[str, Any]]) -> None:
    keyed = [{"k": number, **row} for number, row in enumerate(given_rows)]
    of_all = table("copied")
    postgres_schema.create(of_all.domain, (of_all,), {})
    with postgres.connect(of_all.domain) as connection:
        postgres.truncate(connection, (of_all,))
        connection.execute("INSERT INTO everything (k) VALUES (0)")
        connection.execute("CREATE TEMP TABLE staged (LIKE everything) ON COMMIT DROP")
        postgres.copy_rows(connection, "staged", table_io.rows(of_all, keyed))
        postgres.upsert(connection, of_all, "SELECT * FROM staged")
    assert by_key(postgres.read_rows(of_all)) == by_key(keyed)


WHOLE = {
    "s": "ü", "x": b"\0\xff", "b": True, "i": -1, "l": 2**60, "d": 0.1, "day": date(2026, 2, 28),
    "at": datetime(2026, 2, 28, 12, 0, 0, 1, UTC), "p": Decimal("12.50"), "j": '{"a": [1, null]}',
}  # fmt: skip
ROW = {
    "k": 1,
    **WHOLE,
    "a": ["x", None],
    "o": WHOLE,
    "lines": [WHOLE, None],
    "deep": {"of": [[1], None, []], "one": WHOLE},
}
NOTHING = dict.fromkeys(COLUMNS) | {"k": 2}


@pytest.mark.spark
@pytest.mark.usefixtures("lake")
def test_what_spark_appends_and_deltalake_upserts_every_reader_reads(spark: SparkSession) -> None:
    of_all = table("appended")
    table_io.create(of_all)
    frame = spark.createDataFrame(table_io.rows(of_all, [ROW, NOTHING]), of_all.ddl)
    table_io.append_batch(frame, of_all, "app", 0)
    table_io.upsert(table_io.create(of_all), table_io.rows(of_all, [{**ROW, "k": 3}]), of_all.keys, "app", 1)
    right = [ROW, NOTHING, {**ROW, "k": 3}]
    assert by_key(table_io.read(of_all).to_pylist()) == by_key(right)
    for load in (loads.matching(pc.scalar(True), 9), loads.found_once(pc.scalar(True), 9)):
        reading = TableReader(of_all, load).read()
        assert (reading.error, sorted(reading.frame["k"])) == ("", [1, 2, 3])
    for read in (table_io.read_spark(spark, of_all), table_io.read_version(spark, of_all, 2)):
        assert by_key(read.toArrow().cast(of_all.arrow_schema).to_pylist()) == by_key(right)


@pytest.mark.spark
@pytest.mark.usefixtures("lake")
def test_spark_reads_a_column_that_the_table_lacks_as_nulls(spark: SparkSession) -> None:
    of_all = table("older")
    older = Table(of_all.domain, of_all.name, {"k": "BIGINT", "s": "STRING"}, ("k",), "", SERVING_PROPERTIES)
    table_io.append(table_io.create(older), table_io.rows(older, [{"k": 1, "s": "a"}]), "app", 0)
    right = [dict.fromkeys(COLUMNS) | {"k": 1, "s": "a"}]
    for read in (table_io.read_spark(spark, of_all), table_io.read_version(spark, of_all, 1)):
        assert read.toArrow().cast(of_all.arrow_schema).to_pylist() == right
    frame = spark.createDataFrame(table_io.rows(of_all, [{**ROW, "k": 2}]), of_all.ddl)
    table_io.create(of_all)  # the writer's start
    table_io.append_batch(frame, of_all, "app", 1)
    assert by_key(table_io.read(of_all).to_pylist()) == by_key([*right, {**ROW, "k": 2}])
    assert sorted(row["k"] for row in table_io.read_spark(spark, of_all).collect()) == [1, 2]
