"""Small Delta tables written and read without a JVM."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lakehouse.tables import table_io
from lakehouse.tables.table_io import SERVING_PROPERTIES, Table

SCORES = Table(
    "games", "scores", {"player": "STRING", "points": "BIGINT"}, ("player",), "points by player", SERVING_PROPERTIES
)
pytestmark = pytest.mark.usefixtures("lake")


def rows(**points: int) -> list[dict[str, object]]:
    return [{"player": player, "points": value} for player, value in points.items()]


def content() -> dict[str, int]:
    return {row["player"]: row["points"] for row in table_io.read(SCORES).to_pylist()}


def test_a_table_that_is_not_there_reads_as_empty() -> None:
    assert not table_io.exists(SCORES)
    assert table_io.read(SCORES, ["points"]).column_names == ["points"]


def test_upsert_replaces_by_key_and_inserts_the_rest() -> None:
    delta = table_io.create(SCORES)
    assert table_io.upsert(delta, table_io.rows(SCORES, rows(ann=1, bob=2)), SCORES.keys, "app", 0)
    assert table_io.upsert(delta, table_io.rows(SCORES, rows(bob=5, eve=9)), SCORES.keys, "app", 1)
    assert content() == {"ann": 1, "bob": 5, "eve": 9}


def test_a_replayed_version_changes_nothing() -> None:
    delta = table_io.create(SCORES)
    assert table_io.append(delta, table_io.rows(SCORES, rows(ann=1)), "app", 3)
    assert not table_io.append(delta, table_io.rows(SCORES, rows(ann=1)), "app", 3)
    assert not table_io.append(table_io.create(SCORES), table_io.rows(SCORES, rows(ann=1)), "app", 2)
    assert not table_io.upsert(delta, table_io.rows(SCORES, rows(ann=7)), SCORES.keys, "app", 3)
    assert table_io.append(delta, table_io.rows(SCORES, rows(bob=1)), "another", 0)
    assert content() == {"ann": 1, "bob": 1}


def test_maintenance_leaves_few_files_and_all_rows(lake: Path) -> None:
    delta = table_io.create(SCORES)
    for version in range(20):
        table_io.append(delta, table_io.rows(SCORES, rows(**{f"p{version}": version})), "app", version)
    table_io.maintain(delta)
    assert len(delta.file_uris()) == 1
    assert len(content()) == 20
    assert not table_io.append(table_io.create(SCORES), table_io.rows(SCORES, rows(late=1)), "app", 19)


def test_unwanted_files_go_once_they_are_as_old_as_the_table_keeps_them() -> None:
    forgets = SERVING_PROPERTIES | {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    table = replace(SCORES, name="forgetful", properties=forgets)
    delta = table_io.create(table)
    for version in range(3):
        table_io.upsert(delta, table_io.rows(table, rows(ann=version)), table.keys, "app", version)
        table_io.maintain(delta)  # an hour: the table's log has forgotten the file by then
    assert len(list(table.path.glob("*.parquet"))) == 3
    table_io.maintain(delta, keep=timedelta(0))
    assert len(list(table.path.glob("*.parquet"))) == 1
    assert table_io.read(table).to_pylist() == [{"player": "ann", "points": 2}]
