"""Served rows, and readers of real Delta tables that never raise."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake

from lakehouse.streaming import lag
from lakehouse.streaming.checkpoints import BatchPlan
from lakehouse.streaming.lag import RateMeter
from lakehouse.tables import loads, table_io
from lakehouse.tables.reader import TableReader
from lakehouse.tables.served_layer import served
from lakehouse.tables.table_io import Table

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
END = NOON + timedelta(minutes=2)
KEYS = ("window_start", "decade")
EVENTS = Table(
    "demo",
    "events",
    {
        "event_at": "TIMESTAMP",
        "topic": "STRING",
        "partition": "INT",
        "offset": "BIGINT",
        "recorded_at": "TIMESTAMP",
        "note": "STRING",
    },
    keys=("topic", "partition", "offset"),
    about="events of a test",
    properties={},
)
COLUMNS = tuple(EVENTS.columns)


def speed_row(**changed: Any) -> dict[str, Any]:
    row = {"window_start": NOON, "window_end": END, "decade": 1990, "avg_price": 100.0, "sales": 2, "is_final": True}
    return row | {"generation": "g", "batch_id": 7} | changed


def batch_row(**changed: Any) -> dict[str, Any]:
    row = {"window_start": NOON, "window_end": END, "decade": 1990, "avg_price": 90.0, "sales": 1}
    covered = {"covered_generation": "g", "covered_batch_id": 7, "recomputed_at": END + timedelta(hours=1)}
    return row | covered | changed


def serve(speed: list[dict[str, Any]], batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    speed_frame = pd.DataFrame(speed, columns=list(speed_row()))
    return served(speed_frame, pd.DataFrame(batch, columns=list(batch_row())), KEYS).to_dict("records")


def expected(layer: str, is_final: bool = True, **changed: Any) -> dict[str, Any]:
    average, sales = (90.0, 1) if layer == "batch" else (100.0, 2)
    row = {"window_start": NOON, "window_end": END, "decade": 1990, "avg_price": average, "sales": sales}
    return row | changed | {"is_final": is_final, "layer": layer}


def test_the_batch_row_is_served_where_there_is_one() -> None:
    assert serve([speed_row()], [batch_row()]) == [expected("batch")]


def test_the_speed_row_is_served_where_there_is_no_batch_row() -> None:
    rows = serve([speed_row(decade=2000, is_final=False), speed_row()], [batch_row()])
    assert rows == [expected("batch"), expected("speed", is_final=False, decade=2000)]


def test_a_window_that_only_the_batch_layer_has_is_final() -> None:
    assert serve([], [batch_row()]) == [expected("batch")]


def test_a_speed_row_changed_after_what_the_batch_row_covers_is_served() -> None:
    rows = serve([speed_row(batch_id=8, is_final=False)], [batch_row()])
    assert rows == [expected("speed", is_final=False)]


def test_a_batch_row_keeps_the_flag_of_its_speed_row() -> None:
    assert serve([speed_row(is_final=False)], [batch_row()]) == [expected("batch", is_final=False)]


def test_batch_numbers_of_another_generation_are_not_compared() -> None:
    assert serve([speed_row(batch_id=8, generation="h")], [batch_row()]) == [expected("batch")]


def test_a_rebuilt_speed_layer_is_served_where_the_batch_row_saw_an_open_window() -> None:
    restarted = speed_row(batch_id=1, generation="h", is_final=False)
    rows = serve([restarted], [batch_row(recomputed_at=END - timedelta(seconds=1))])
    assert rows == [expected("speed", is_final=False)]
    other_length = END + timedelta(minutes=3)
    rows = serve([restarted | {"window_end": other_length}], [batch_row()])
    assert rows == [expected("speed", is_final=False, window_end=other_length)]


def test_a_batch_row_that_covers_no_averages_batch_does_not_freeze_a_window() -> None:
    rows = serve([speed_row(batch_id=0)], [batch_row(covered_generation=None, covered_batch_id=None)])
    assert rows == [expected("speed")]


def test_nothing_is_served_from_empty_tables() -> None:
    assert serve([], []) == []


def event(number: int, **changed: Any) -> dict[str, Any]:
    at = NOON + timedelta(seconds=number)
    place = {"topic": "demo", "partition": 0, "offset": number, "recorded_at": at}
    return {"event_at": at, "note": f"event {number}"} | place | changed


@pytest.fixture
def write(lake: Path) -> Callable[..., None]:
    """Appends rows to EVENTS as one file."""

    def append(*rows: dict[str, Any]) -> None:
        write_deltalake(table_io.create(EVENTS), table_io.rows(EVENTS, rows), mode="append")

    return append


def offsets(frame: pd.DataFrame) -> list[int]:
    return [int(offset) for offset in frame["offset"]]


@pytest.mark.usefixtures("lake")
def test_a_missing_table_is_empty_and_has_its_columns() -> None:
    reading = TableReader(EVENTS, loads.newest(5, COLUMNS)).read()
    assert (reading.state, reading.total, list(reading.frame.columns)) == ("empty", 0, list(COLUMNS))


def test_an_unchanged_table_is_not_read_again(write: Callable[..., None]) -> None:
    write(event(1))
    reader = TableReader(EVENTS, loads.newest(5, COLUMNS))
    first = reader.read()
    assert reader.read() is first
    write(event(2))
    assert offsets(reader.read().frame) == [2, 1]


def test_counts_come_from_the_whole_table(write: Callable[..., None]) -> None:
    initial = event(0, topic=None, partition=None, offset=None, recorded_at=None, event_at=None)
    write(initial, initial)
    write(*[event(number) for number in range(10)])
    reading = TableReader(EVENTS, loads.newest(3, COLUMNS)).read()
    assert (reading.total, reading.streamed, offsets(reading.frame)) == (12, 10, [9, 8, 7])
    assert reading.newest_event_at == NOON + timedelta(seconds=9)


def test_old_files_are_never_opened_for_the_newest_rows(write: Callable[..., None], lake: Path) -> None:
    write(event(1), event(2))
    old = next((lake / "lake/demo/events").glob("*.parquet"))
    write(event(4), event(3))
    old.unlink()  # opening it would fail
    reading = TableReader(EVENTS, loads.newest(2, COLUMNS)).read()
    assert (reading.state, offsets(reading.frame)) == ("ready", [4, 3])


def test_the_newest_rows_are_found_across_files_that_overlap(write: Callable[..., None]) -> None:
    write(event(5), event(1))
    write(event(4), event(2))
    assert offsets(TableReader(EVENTS, loads.newest(3, COLUMNS)).read().frame) == [5, 4, 2]


@pytest.mark.usefixtures("lake")
def test_the_newest_rows_are_found_in_a_file_without_order() -> None:
    """As compaction leaves it: several row groups, the newest rows not in the last one."""
    rows = table_io.rows(EVENTS, [event(number) for number in (7, 8, 1, 2, 9, 3, 4, 5)])
    small = WriterProperties(max_row_group_size=2)
    write_deltalake(table_io.create(EVENTS), rows, mode="append", writer_properties=small)
    assert offsets(TableReader(EVENTS, loads.newest(3, COLUMNS)).read().frame) == [9, 8, 7]


def test_recent_rows_are_bounded_by_the_newest_not_by_the_clock(write: Callable[..., None]) -> None:
    write(event(0), event(3600), event(7200))
    reading = TableReader(EVENTS, loads.recent("event_at", timedelta(hours=1))).read()
    assert sorted(offsets(reading.frame)) == [3600, 7200]


def test_matching_rows_are_limited(write: Callable[..., None]) -> None:
    write(*[event(number) for number in range(10)])
    reading = TableReader(EVENTS, loads.matching(pc.field("offset") >= 5, limit=3)).read()
    assert len(reading.frame) == 3
    assert min(offsets(reading.frame)) >= 5


def test_a_file_is_searched_once_and_again_after_a_compaction(write: Callable[..., None], lake: Path) -> None:
    write(*[event(number) for number in range(10)])
    reader = TableReader(EVENTS, loads.found_once(pc.field("offset") >= 7, limit=5))
    assert sorted(offsets(reader.read().frame)) == [7, 8, 9]
    old = next((lake / "lake/demo/events").glob("*.parquet"))
    away = old.rename(lake / "away")  # opening it would fail
    write(event(3), event(12))
    reading = reader.read()
    assert (reading.error, sorted(offsets(reading.frame))) == ("", [7, 8, 9, 12])
    away.rename(old)
    DeltaTable(EVENTS.path).optimize.compact()
    assert sorted(offsets(reader.read().frame)) == [7, 8, 9, 12]
    write(*[event(number) for number in range(20, 30)])
    assert len(reader.read().frame) == 5


def test_a_damaged_log_is_a_sentence_and_the_last_rows_stay(write: Callable[..., None], lake: Path) -> None:
    write(event(1))
    reader = TableReader(EVENTS, loads.newest(5, COLUMNS))
    reader.read()
    (lake / "lake/demo/events/_delta_log/00000000000000000002.json").write_text("{ not json")
    reading = reader.read()
    assert reading.state == "error"
    assert reading.error.startswith("The table demo.events cannot be read: ")
    assert "\n" not in reading.error
    assert offsets(reading.frame) == [1]
    assert reader.read() is reading  # the same error is no news


def test_a_lost_data_file_is_an_error_until_it_is_back(write: Callable[..., None], lake: Path) -> None:
    write(event(1))
    file = next((lake / "lake/demo/events").glob("*.parquet"))
    file.rename(file.with_suffix(".lost"))
    reader = TableReader(EVENTS, loads.newest(5, COLUMNS))
    assert reader.read().state == "error"
    file.with_suffix(".lost").rename(file)
    assert (reader.read().state, reader.read().error) == ("ready", "")


def panic(*_: Any) -> Any:
    """An error as the Rust behind deltalake raises it: no Exception."""
    raise BaseException("the tokio runtime")


def test_a_panic_of_the_library_is_an_error_of_the_table_and_ends_no_thread(write: Callable[..., None]) -> None:
    write(event(1))
    assert "the tokio runtime" in TableReader(EVENTS, panic).read().error


def test_a_table_created_again_is_not_taken_for_the_old_one(write: Callable[..., None], lake: Path) -> None:
    write(event(1))
    write(event(2))
    reader = TableReader(EVENTS, loads.newest(5, COLUMNS))
    reader.read()
    shutil.rmtree(lake / "lake")
    assert reader.read().state == "empty"
    for number in (7, 8, 9):
        write(event(number))
    assert offsets(reader.read().frame) == [9, 8, 7]


def test_the_rate_is_taken_over_the_last_seconds() -> None:
    meter = RateMeter(seconds=10)
    rates = [meter.add(total, at) for at, total in ((0, 0), (5, 50), (10, 150), (20, 350))]
    assert rates == [None, 10.0, 15.0, 20.0]


def test_a_topic_created_again_has_no_negative_rate() -> None:
    meter = RateMeter()
    meter.add(1000, 0)
    assert meter.add(3, 1) is None


def test_lag_counts_what_the_last_committed_batch_has_not_read() -> None:
    ends, starts = {("t", 0): 100, ("t", 1): 50}, {("t", 0): 10, ("t", 1): 0}
    assert lag.lag(ends, starts, BatchPlan(3, {("t", 0): 90}, None)) == 60
    assert lag.lag(ends, starts, None) == 140
