"""The serving table of windows: provisional, final, replayed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.contract import arrow_types
from lakehouse.sinks import sink
from lakehouse.sinks.window_table import WindowTable
from lakehouse.streaming.batch import Batch
from lakehouse.tables import table_io
from lakehouse.tables.table_io import SERVING_PROPERTIES, Table

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COLUMNS = {"window_start": "TIMESTAMP", "window_end": "TIMESTAMP", "zone": "INT", "units": "BIGINT"}
ORIGIN = {"is_final": "BOOLEAN", "generation": "STRING", "batch_id": "BIGINT", "updated_at": "TIMESTAMP"}
UNITS = Table(
    "line", "units", {**COLUMNS, **ORIGIN}, ("window_start", "zone"), "units", SERVING_PROPERTIES, ("is_final",)
)
LOG_COLUMNS = {"generation": "STRING", "batch_id": "BIGINT", "topic": "STRING", "partition": "INT"}
LOG_COLUMNS |= {"start_offset": "BIGINT", "end_offset": "BIGINT", "watermark": "TIMESTAMP", "committed_at": "TIMESTAMP"}
LOG = Table("line", "units_batches", LOG_COLUMNS, ("generation", "batch_id"), "log", SERVING_PROPERTIES)
pytestmark = pytest.mark.usefixtures("lake")


class Frame:
    """Rows as a batch hands them over: (minute, zone, units)."""

    def __init__(self, *rows: tuple[int, int, int]) -> None:
        self._rows = [
            {
                "window_start": NOON + timedelta(minutes=minute),
                "window_end": NOON + timedelta(minutes=minute + 2),
                "zone": zone,
                "units": units,
            }
            for minute, zone, units in rows
        ]

    def toArrow(self) -> pa.Table:
        return pa.Table.from_pylist(self._rows, arrow_types.arrow_schema(COLUMNS))


def batch(number: int, watermark_minute: float | None) -> Batch:
    watermark = None if watermark_minute is None else NOON + timedelta(minutes=watermark_minute)
    return Batch("gen", number, {("t", 0): number}, {("t", 0): number + 1}, watermark)


def content() -> dict[tuple[int, int], tuple[int, bool, int]]:
    return {
        ((row["window_start"] - NOON).seconds // 60, row["zone"]): (row["units"], row["is_final"], row["batch_id"])
        for row in table_io.read(UNITS).to_pylist()
    }


def write(writer: WindowTable, frame: Frame, at: Batch) -> None:
    writer.write(frame, at)  # type: ignore[arg-type]


def test_a_row_is_final_once_the_watermark_has_passed_its_end_even_on_an_empty_batch() -> None:
    writer = WindowTable(UNITS, LOG)
    write(writer, Frame((0, 1, 5), (2, 1, 3)), batch(0, None))
    assert content() == {(0, 1): (5, False, 0), (2, 1): (3, False, 0)}
    write(writer, Frame(), batch(1, 1.99))
    assert content()[(0, 1)] == (5, False, 0)
    write(writer, Frame(), batch(2, 2))  # an empty batch
    assert content() == {(0, 1): (5, True, 0), (2, 1): (3, False, 0)}


def test_a_window_updated_in_the_batch_that_closes_it_is_final_with_its_new_value() -> None:
    writer = WindowTable(UNITS, LOG)
    write(writer, Frame((0, 1, 5)), batch(0, None))
    write(writer, Frame((0, 1, 6)), batch(1, 2))
    assert content() == {(0, 1): (6, True, 1)}


def test_a_new_writer_finishes_what_an_earlier_one_left_open() -> None:
    write(WindowTable(UNITS, LOG), Frame((0, 1, 5)), batch(0, None))
    write(WindowTable(UNITS, LOG), Frame(), batch(1, 2))
    assert content() == {(0, 1): (5, True, 0)}


def test_a_replayed_batch_is_harmless_and_is_still_published() -> None:
    published: list[int] = []

    class Elsewhere:
        def send(self, rows: Sequence[Any], _batch: Batch) -> Any:
            published.append(len(rows))
            return lambda: None

    write(WindowTable(UNITS, LOG, [Elsewhere()]), Frame((0, 1, 5)), batch(0, None))
    writer = WindowTable(UNITS, LOG, [Elsewhere()])
    write(writer, Frame((0, 1, 5)), batch(0, None))
    write(writer, Frame(), batch(1, 2))
    assert content() == {(0, 1): (5, True, 0)}
    assert published == [1, 1]
    assert table_io.read(LOG).num_rows == 2


@pytest.mark.parametrize("cut", [True, False])
def test_files_stay_few_and_closed_windows_are_not_written_again(monkeypatch: pytest.MonkeyPatch, cut: bool) -> None:
    """`cut` is false for a table that an earlier version has made."""
    monkeypatch.setattr(sink, "MAINTAIN_EVERY", 10)
    table = UNITS if cut else replace(UNITS, partition_by=())
    writer = WindowTable(table, LOG)
    for number in range(40):  # a window lasts four batches
        write(writer, Frame((number // 4 * 2, 1, number), (number // 4 * 2, 2, 1)), batch(number, number // 4 * 2))
    found = content()
    assert len(found) == 20
    assert all(final == (minute < 18) for (minute, _zone), (_units, final, _batch) in found.items())
    delta = table_io.create(table)
    before = set(delta.file_uris())
    assert len(before) <= 4
    write(writer, Frame((18, 1, 99)), batch(40, 18))
    delta.update_incremental()
    again = pa.table(delta.get_add_actions(flatten=True)).to_pandas().set_index("path")
    written = again[[not any(uri.endswith(path) for uri in before) for path in again.index]]
    assert written["num_records"].sum() == (2 if cut else 20)
    assert len(table_io.create(LOG).file_uris()) <= 2


def test_the_batch_log_says_what_each_batch_read() -> None:
    writer = WindowTable(UNITS, LOG)
    write(writer, Frame((0, 1, 5)), batch(0, None))
    write(writer, Frame(), batch(1, 2))
    logged = sorted(table_io.read(LOG).to_pylist(), key=lambda row: row["batch_id"])
    assert [(row["start_offset"], row["end_offset"], row["watermark"]) for row in logged] == [
        (0, 1, None),
        (1, 2, NOON + timedelta(minutes=2)),
    ]


def test_after_a_failure_behind_a_commit_the_batch_is_not_logged_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while Delta writes its checkpoint: the commit is there, the handle does not know it."""
    append = table_io.append

    def commit_then_fail(delta: Any, data: Any, app_id: str, version: int) -> bool:
        append(table_io.create(LOG), data, app_id, version)
        raise OSError("No space left on device")

    writer = WindowTable(UNITS, LOG)
    with monkeypatch.context() as failing:
        failing.setattr(table_io, "append", commit_then_fail)
        with pytest.raises(OSError, match="No space"):
            write(writer, Frame((0, 1, 5)), batch(0, None))
    write(writer, Frame((0, 1, 5)), batch(0, None))
    write(writer, Frame(), batch(1, 2))
    assert content() == {(0, 1): (5, True, 0)}
    assert table_io.read(LOG).num_rows == 2
