"""Compares the records of a topic with the rows of its tables, for one range of a partition: pure functions."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.kafka.offset_ranges import OffsetArray


class OffsetBalance(NamedTuple):
    """Offsets of a range that are off (`lost`, `doubled`, `foreign`), and those that the history has yet to read."""

    lost: OffsetArray
    doubled: OffsetArray
    foreign: OffsetArray
    waiting: OffsetArray


def balance_offsets(records: OffsetArray, history: OffsetArray, dead: OffsetArray, read_to: int) -> OffsetBalance:
    """Compare the records of a range with its rows in history and dead letters: each must be in exactly one, once.

    Records from `read_to` on may be missing: the history's last committed batch ends there.
    """
    every = np.sort(np.concatenate([history, dead]))
    again = np.diff(every, prepend=every[:1] - 1) == 0
    places, doubled = every[~again], every[again]
    due = records < read_to
    return OffsetBalance(
        lost=_without(records[due], places),
        doubled=np.unique(doubled),
        foreign=_without(places, records),
        waiting=_without(records[~due], places),
    )


def _without(some: OffsetArray, others: OffsetArray) -> OffsetArray:
    """Those that are not among the others, in order; each is there once."""
    return np.sort(np.setdiff1d(some, others, assume_unique=True))


def differences(expected: pa.Table, stored: pa.Table) -> list[tuple[int, str]]:
    """Stored rows that are not equal to the expected row of the same offset, with the first column that differs.

    `expected` is sorted by offset and has each once; rows that it lacks are not looked at.
    """
    wanted, found = offsets(expected), offsets(stored)
    at = np.minimum(np.searchsorted(wanted, found), max(len(wanted) - 1, 0))
    known = wanted[at] == found if len(wanted) else np.zeros(len(found), dtype=bool)
    rows, pairs = stored.filter(pa.array(known)), expected.take(pa.array(at[known]))
    wrong: dict[int, str] = {}
    for name in expected.column_names:
        one, other = pairs[name], rows[name]
        if one.equals(other):
            continue
        same = pc.fill_null(pc.equal(one, other), False)
        same = pc.or_(same, pc.and_(one.is_null(), other.is_null()))
        for row in np.flatnonzero(~same.to_numpy()):
            wrong.setdefault(int(row), f"{name}: {_text(other[row])}, the topic says {_text(one[row])}")
    places = found[known]
    return sorted((int(places[row]), what) for row, what in wrong.items())


def _text(value: pa.Scalar) -> str:
    return str(value)[:80] if value.is_valid else "null"


def offsets(table: pa.Table) -> OffsetArray:
    """The column `offset`."""
    column: OffsetArray = table["offset"].to_numpy().astype(np.int64)
    return column
