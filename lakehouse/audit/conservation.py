"""Comparing what was on a topic with what the tables hold, for one range of a partition: pure functions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Offsets = npt.NDArray[np.int64]


class Conserved(NamedTuple):
    """Offsets of a range that are off (`lost`, `doubled`, `foreign`), and those that the history has yet to read."""

    lost: Offsets
    doubled: Offsets
    foreign: Offsets
    waiting: Offsets


def conserve(records: Offsets, history: Offsets, dead: Offsets, read_to: int) -> Conserved:
    """Hold the records of a range against its rows in history and dead letters: each must be in exactly one, once.

    Records from `read_to` on may be missing: the history's last committed batch ends there.
    """
    places, times = np.unique(np.concatenate([history, dead]), return_counts=True)
    due = records < read_to
    return Conserved(
        lost=np.setdiff1d(records[due], places),
        doubled=places[times > 1],
        foreign=np.setdiff1d(places, records),
        waiting=np.setdiff1d(records[~due], places),
    )


def differing(expected: pa.Table, found: pa.Table) -> list[tuple[int, str]]:
    """Rows of `found` that are not equal to the expected row of the same offset, with the first column that differs.

    `expected` is sorted by offset and has each once; rows that it lacks are not looked at.
    """
    ours, theirs = offsets(expected), offsets(found)
    at = np.minimum(np.searchsorted(ours, theirs), max(len(ours) - 1, 0))
    known = ours[at] == theirs if len(ours) else np.zeros(len(theirs), dtype=bool)
    rows, wanted = found.filter(pa.array(known)), expected.take(pa.array(at[known]))
    wrong: dict[int, str] = {}
    for name in expected.column_names:
        one, other = wanted[name], rows[name]
        if one.equals(other):
            continue
        same = pc.fill_null(pc.equal(one, other), False)
        same = pc.or_(same, pc.and_(one.is_null(), other.is_null()))
        for row in np.flatnonzero(~same.to_numpy()):
            wrong.setdefault(int(row), f"{name}: {_text(other[row])}, the topic says {_text(one[row])}")
    places = theirs[known]
    return sorted((int(places[row]), what) for row, what in wrong.items())


def _text(value: pa.Scalar) -> str:
    return str(value)[:80] if value.is_valid else "null"


def offsets(table: pa.Table) -> Offsets:
    """The column `offset`."""
    found: Offsets = table["offset"].to_numpy().astype(np.int64)
    return found


def gaps(records: Offsets, start: int, end: int) -> list[list[int]]:
    """The offsets of [start, end) without a record (aborted, or a transaction's own marks), as ranges."""
    return spans(np.setdiff1d(np.arange(start, end), records))


def spans(places: Offsets) -> list[list[int]]:
    """Sorted offsets as ranges with their end exclusive."""
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts, ends = places[np.r_[0, breaks + 1]], places[np.r_[breaks, len(places) - 1]] + 1
    return [[int(start), int(end)] for start, end in zip(starts, ends, strict=True)]


def joined(ranges: Sequence[Sequence[int]]) -> list[list[int]]:
    """Ranges in order, touching ones as one."""
    made: list[list[int]] = []
    for start, end in ranges:
        if made and made[-1][1] == start:
            made[-1][1] = end
        else:
            made.append([start, end])
    return made


def records_of(covered: Sequence[Any], start: int, end: int) -> Offsets:
    """The offsets of [start, end) that held a record when the audits that speak for them read them."""
    parts = [np.empty(0, dtype=np.int64)]
    for one in covered:
        every = np.arange(max(start, one["from"]), min(end, one["to"]))
        inside = np.ones(len(every), dtype=bool)
        for first, last in one["gaps"]:
            inside &= (every < first) | (every >= last)
        parts.append(every[inside])
    return np.unique(np.concatenate(parts))
