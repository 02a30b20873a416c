"""Averages again from their events: windows, what was late by the batch log, generations."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.houses.schema import AVERAGES_BATCHES
from lakehouse.audit.batch_log import BatchLog
from lakehouse.audit.window_sums import Speed, Sums, add, micros, place
from lakehouse.tables import table_io

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
START = int(NOON.timestamp()) * 1_000_000
SECOND = 1_000_000
TWO = 120 * SECOND


def facts(*events: tuple[float, int, int]) -> pa.Table:
    """Events as (seconds past noon, group, amount)."""
    at = [START + int(seconds * SECOND) for seconds, _, _ in events]
    columns = {"event_at": at, "group": [group for _, group, _ in events], "amount": [one[2] for one in events]}
    return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})


def batch(
    number: int, start: int, end: int, watermark: float | None, generation: str = "g", at: int = 0
) -> dict[str, Any]:
    mark = None if watermark is None else NOON + timedelta(seconds=watermark)
    row = {"generation": generation, "batch_id": number, "topic": "houses", "partition": 0}
    row |= {"start_offset": start, "end_offset": end, "watermark": mark}
    return row | {"committed_at": NOON + timedelta(hours=at, seconds=number)}


def log(*batches: dict[str, Any], **last: int) -> BatchLog:
    return BatchLog(table_io.rows(AVERAGES_BATCHES, batches), ["houses"], last)


def sums(speed: Speed) -> dict[tuple[float, int], list[int]]:
    return {((start - START) / SECOND, group): cell for (start, group), cell in speed.expected().items()}


@pytest.mark.parametrize(
    ("slide", "starts"), [("2 minutes", [0]), ("1 minute", [0, 60]), ("90 seconds", [0]), ("50 seconds", [-50, 0, 50])]
)
def test_an_event_counts_in_each_window_it_falls_into(slide: str, starts: list[int]) -> None:
    made: Sums = {}
    base = START - START % micros(slide)
    shift = (START - base) // SECOND
    for placed in place(facts((65 - shift, 1950, 7)), micros("2 minutes"), micros(slide)):
        add(made, placed)
    assert sorted((start - base) // SECOND for start, _ in made) == starts
    assert all(cell == [1, 7] for cell in made.values())


def test_late_is_what_the_batch_before_had_closed_to_the_microsecond() -> None:
    batches = [batch(0, 0, 2, None), batch(1, 2, 4, 120), batch(2, 4, 6, 120.001), batch(3, 6, 8, 500)]
    speed = Speed(log(*batches, g=3), TWO, TWO)
    offsets = np.arange(9)
    speed.add(("houses", 0), offsets, facts(*[(10, 1950, 10**offset) for offset in range(9)]))
    # Batch 1 still counts what it closes itself; batch 2 runs after a watermark of exactly the window's end.
    assert sums(speed) == {(0, 1950): [4, 1111]}
    assert (speed.late, speed.waiting) == (4, 1)


def test_batches_after_the_last_counted_one_are_waited_for() -> None:
    speed = Speed(log(batch(0, 0, 2, None), batch(1, 2, 4, None), g=0), TWO, TWO)
    speed.add(("houses", 0), np.arange(4), facts(*[(1, 1950, 1)] * 4))
    assert (sums(speed), speed.waiting) == ({(0, 1950): [2, 2]}, 2)


def test_a_newer_generation_replaces_the_rows_it_has() -> None:
    old = [batch(0, 0, 2, None, "old"), batch(1, 2, 3, None, "old")]
    speed = Speed(log(*old, batch(0, 1, 4, None, "new", at=1), old=1, new=0), TWO, TWO)
    speed.add(("houses", 0), np.arange(4), facts((1, 1950, 1), (2, 1960, 2), (3, 1960, 4), (4, 1970, 8)))
    assert sums(speed) == {(0, 1950): [1, 1], (0, 1960): [2, 6], (0, 1970): [1, 8]}


def test_a_log_with_a_batch_missing_doubled_or_torn_is_found() -> None:
    batches = [batch(0, 0, 2, None), batch(2, 2, 4, None), batch(2, 2, 4, None), batch(3, 5, 6, None)]
    places = {finding.what: finding.places for finding in log(*batches, g=3).findings.to_list()}
    assert places["batch not in the log"] == [1]
    assert places["batch twice in the log"] == [2]
    assert 3 in places["batch that does not begin where the one before ended"]
