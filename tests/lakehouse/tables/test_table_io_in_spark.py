"""A pinned version of a Delta table, read with Spark."""

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.tables import table_io
from lakehouse.tables.table_io import SERVING_PROPERTIES, Table

SCORES = Table(
    "games",
    "scores of all",  # a path that a URI has to escape
    {"player": "STRING", "points": "BIGINT", "seen_at": "TIMESTAMP", "prize": "DECIMAL(12,2)"},
    ("player",),
    "points by player",
    SERVING_PROPERTIES,
)
pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("lake")]


def rows(**points: int) -> pa.Table:
    return table_io.rows(SCORES, [{"player": player, "points": value} for player, value in points.items()])


def read(spark: SparkSession, version: int) -> dict[str, int]:
    frame = table_io.read_version(spark, SCORES, version)
    assert frame.columns == list(SCORES.columns)
    return {row["player"]: row["points"] for row in frame.collect()}


def test_a_version_stays_what_it_was(spark: SparkSession) -> None:
    delta = table_io.create(SCORES)
    assert read(spark, 0) == {}
    table_io.append(delta, rows(ann=1, bob=2), "app", 0)
    table_io.append(table_io.create(SCORES), rows(eve=3), "app", 1)
    table_io.upsert(table_io.create(SCORES), rows(bob=5), SCORES.keys, "app", 2)
    assert [read(spark, version) for version in (1, 2, 3)] == [
        {"ann": 1, "bob": 2},
        {"ann": 1, "bob": 2, "eve": 3},
        {"ann": 1, "bob": 5, "eve": 3},
    ]


def test_rows_that_deletion_vectors_hide_stay_hidden(spark: SparkSession) -> None:
    table_io.append(table_io.create(SCORES), rows(ann=1, bob=2, eve=3), "app", 0)
    table = f"delta.`{SCORES.path}`"
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    spark.sql(f"DELETE FROM {table} WHERE player = 'bob'")
    newest = DeltaTable(SCORES.path).version()
    assert DeltaTable(SCORES.path).protocol().min_reader_version > 1
    assert read(spark, newest) == {"ann": 1, "eve": 3}
