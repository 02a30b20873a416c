"""Rows sorted by what is searched for: nothing lost, found in one group of rows, also beside other writers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.contract import standard_tables
from lakehouse.tables import cluster, loads, own_commit, table_io
from lakehouse.tables.maintain import maintain
from lakehouse.tables.own_commit import ConcurrentError
from lakehouse.tables.reader import TableReader

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("lake")]
COLUMNS = {"id": "STRING", "event_at": "TIMESTAMP", "price": "DECIMAL(12,2)", "note": "STRING"}
EVENTS = standard_tables.history("demo", COLUMNS, ("id", "event_at"), "events of a test")
BASE = datetime(2026, 1, 1, tzinfo=UTC)


def events(first: int, count: int) -> pa.Table:
    """Events at those offsets; the ids are in no order."""
    rows = [
        {
            **dict.fromkeys(EVENTS.columns),
            "id": str(offset * 7919 % 9973),
            "event_at": BASE + timedelta(seconds=offset, microseconds=123_456),
            "topic": "demo",
            "partition": 0,
            "offset": offset,
            "recorded_at": BASE + timedelta(seconds=offset),
        }
        for offset in range(first, first + count)
    ]
    return table_io.rows(EVENTS, rows)


def append(first: int, count: int) -> None:
    write_deltalake(table_io.create(EVENTS), events(first, count), mode="append")


def stored() -> list[dict[str, Any]]:
    return table_io.read(EVENTS).sort_by("offset").to_pylist()


def sorted_files() -> list[Path]:
    return sorted(Path(uri.removeprefix("file://")) for uri in DeltaTable(EVENTS.path).file_uris() if "/by-id-" in uri)


def found(offset: int) -> list[int]:
    house = pc.field("id") == str(offset * 7919 % 9973)
    return TableReader(EVENTS, loads.found_once(house, 10)).read().frame["offset"].to_list()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "GROUP_ROWS", 500)
    monkeypatch.setattr(cluster, "NEWEST_ROWS", 100)


def test_rows_stay_and_are_sorted_but_for_the_newest(spark: SparkSession) -> None:
    append(0, 3000)
    append(3000, 2000)
    append(5000, 60)
    append(5060, 40)
    before = stored()
    assert maintain(spark, EVENTS).startswith("demo.history: 2 files became 1;")
    assert stored() == before
    (file,) = sorted_files()
    ids = pq.read_table(file)["id"].to_pylist()
    assert len(ids) == 5000
    assert ids == sorted(ids)
    assert len(DeltaTable(EVENTS.path).file_uris()) == 3
    assert DeltaTable(EVENTS.path, version=4).to_pyarrow_table().num_rows == 5100  # the last week can still be read


def test_a_search_opens_one_group_of_rows_and_finds_what_is_not_maintained(spark: SparkSession) -> None:
    append(0, 5000)
    maintain(spark, EVENTS)
    append(5000, 1)
    (file,) = sorted_files()
    (fragment,) = ds.dataset(str(file)).get_fragments()
    assert pq.read_metadata(file).num_row_groups == 10
    assert len(fragment.split_by_row_group(filter=pc.field("id") == events(77, 1)["id"][0])) == 1
    assert [found(offset) for offset in (77, 4999, 5000)] == [[77], [4999], [5000]]
    assert found(6000) == []


def test_the_log_has_the_statistics_of_the_new_file(spark: SparkSession) -> None:
    append(0, 3000)
    maintain(spark, EVENTS)
    (row,) = pa.table(DeltaTable(EVENTS.path).get_add_actions(flatten=True)).to_pylist()
    whole = events(0, 3000)
    for name in ("id", "event_at", "offset", "recorded_at", "partition"):
        assert (row[f"min.{name}"], row[f"max.{name}"]) == tuple(pc.min_max(whole[name]).as_py().values()), name
        assert row[f"null_count.{name}"] == 0
    assert row["num_records"] == 3000
    assert spark.read.format("delta").load(str(EVENTS.path)).where("offset >= 2990").count() == 10


def test_a_second_run_does_nothing_and_a_later_one_adds_what_is_new(spark: SparkSession) -> None:
    append(0, 3000)
    maintain(spark, EVENTS)
    before = DeltaTable(EVENTS.path).file_uris()
    assert maintain(spark, EVENTS).startswith("demo.history: 0 files became 0;")
    assert DeltaTable(EVENTS.path).file_uris() == before
    append(3000, 3000)
    assert maintain(spark, EVENTS).startswith("demo.history: 2 files became 1;")
    assert [row["offset"] for row in stored()] == list(range(6000))


def test_an_append_meanwhile_stays(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    append(0, 3000)
    replace = own_commit.replace

    def beside(*arguments: Any) -> int:
        frame = spark.createDataFrame(events(3000, 10).select(["id", "offset"]))
        lacking = {name: F.lit(None).cast(kind) for name, kind in EVENTS.columns.items() if name not in frame.columns}
        table_io.append_batch(frame.withColumns(lacking), EVENTS, "stream", 0)
        return replace(*arguments)

    monkeypatch.setattr(own_commit, "replace", beside)
    assert cluster.cluster(spark, EVENTS) == (1, 1)
    assert [row["offset"] for row in stored()] == list(range(3010))
    assert table_io.append_batch(spark.createDataFrame(events(3010, 1)), EVENTS, "stream", 1)
    assert len(stored()) == 3011


def test_it_gives_way_when_rows_were_changed_meanwhile(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    append(0, 3000)
    replace = own_commit.replace

    def beside(*arguments: Any) -> int:
        DeltaTable(EVENTS.path).update(updates={"note": "'new'"})
        return replace(*arguments)

    monkeypatch.setattr(own_commit, "replace", beside)
    with pytest.raises(ConcurrentError):
        cluster.cluster(spark, EVENTS)
    assert not list(EVENTS.path.glob("by-id-*"))
    assert {row["note"] for row in stored()} == {"new"}
    assert len(stored()) == 3000


def test_a_table_with_other_columns_or_features_is_only_compacted(spark: SparkSession) -> None:
    append(0, 3000)
    append(3000, 3000)
    DeltaTable(EVENTS.path).alter.add_columns([Field("added", PrimitiveType("string"))])
    assert not cluster.can_cluster(EVENTS, DeltaTable(EVENTS.path))
    assert "2 files became 1" in maintain(spark, EVENTS)
    assert not sorted_files()
    assert len(stored()) == 6000


def test_what_a_killed_run_left_is_removed(spark: SparkSession) -> None:
    append(0, 3000)
    left = EVENTS.path / "_sorting-left"
    left.mkdir()
    (left / "part.parquet").write_bytes(b"half")
    cluster.cluster(spark, EVENTS)
    assert not left.exists()
    assert len(sorted_files()) == 1
