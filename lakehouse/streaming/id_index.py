"""On which days the history has each event_id: what a recomputation asks instead of reading the whole history.

One 64-bit number a record: 47 bits of the id's hash, then the day of its event time. The numbers are sorted and lie in
files that are mapped, not read, so that a question costs what is asked for. A night's numbers are a file of their own
until they are half as many as those of the file before; then both become one. Two ids may share a hash: an answer
may have days too many, never too few.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

DAY_BITS = 17
DAY = np.uint64(2**DAY_BITS - 1)
MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, about half of its bits set
NO_DAY = 0  # no event time, or none from 1970-01-02 to the year 2328
MICROS_A_DAY = 86_400_000_000
Numbers: TypeAlias = "npt.NDArray[np.uint64]"


def numbers(event_ids: pa.ChunkedArray, event_at: pa.ChunkedArray) -> Numbers:
    """The numbers of records, in their order; no event_id may be null."""
    hashes = _hashes(pa.concat_arrays([pa.array([], pa.large_binary()), *event_ids.cast(pa.large_binary()).chunks]))
    micros = pc.fill_null(event_at.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()), -1).to_numpy()
    days = micros // MICROS_A_DAY
    known = np.where((days > NO_DAY) & (days <= int(DAY)), days, NO_DAY).astype(np.uint64)
    return (hashes & ~DAY) | known


def _hashes(ids: pa.LargeBinaryArray) -> Numbers:
    """A hash of each text, eight bytes of all texts at a time: our libraries take one text after the other."""
    _valid, offsets, content = ids.buffers()
    ends = np.frombuffer(offsets, np.int64)[ids.offset : ids.offset + len(ids) + 1]
    lengths = np.diff(ends)
    width = 8 * int(-(-lengths.max(initial=1) // 8))
    texts = np.zeros((len(ids), width), np.uint8)
    texts[np.arange(width) < lengths[:, None]] = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]]
    found = lengths.astype(np.uint64)
    for at, eight in enumerate(texts.view("<u8").T):
        mixed = (found ^ eight) * MIX
        found = np.where(lengths > 8 * at, mixed ^ (mixed >> np.uint64(29)), found)  # whatever the longest text is
    return found * MIX


class IdIndex:
    """Sorted runs of numbers, the largest first."""

    def __init__(self, runs: Iterable[Numbers] = (), names: Sequence[str] = ()) -> None:
        self._runs = list(runs)
        self._names: list[str] = list(names)  # the file of each run; empty while it has none

    @classmethod
    def load(cls, folder: Path, names: Sequence[str]) -> "IdIndex":
        """The index in these files. Raises OSError or ValueError when one is lost or damaged."""
        try:
            return cls([np.load(folder / name, mmap_mode="r") for name in names], names)
        except EOFError as cut:  # a file of no bytes
            raise ValueError(f"an index file in {folder} is cut off") from cut

    def add(self, found: Sequence[Numbers]) -> None:
        """Add the numbers of new records."""
        if not sum(len(part) for part in found):
            return
        self._push(np.sort(np.concatenate(found)))
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) >= len(self._runs[-2]):
            newer, older = self._pop(), self._pop()
            self._push(np.sort(np.concatenate([older, newer]), kind="stable"))

    def save(self, folder: Path, version: int) -> tuple[str, ...]:
        """Write the runs that have no file yet; returns the names of all, to be loaded by."""
        for at, run in enumerate(self._runs):
            if not self._names[at]:
                self._names[at] = f"ids-{version}-{at}-{len(run)}.npy"
                np.save(folder / self._names[at], run)
        return tuple(self._names)

    def counts(self, asked: Numbers) -> "npt.NDArray[np.int64]":
        """How many records have the same id as each asked number."""
        order = np.argsort(asked)  # neighbours are looked up one after the other
        total = np.zeros(len(asked), dtype=np.int64)
        for run in self._runs:
            start, end = _places(run, asked[order])
            total[order] += end - start
        return total

    def days(self, asked: Numbers) -> set[int]:
        """The days of all records that have one of the asked ids."""
        found: set[int] = set()
        for run in self._runs:
            start, end = _places(run, np.unique(asked & ~DAY))
            for one, other in zip(start, end, strict=True):
                found.update((run[one:other] & DAY).tolist())
        return found

    def _push(self, run: Numbers) -> None:
        self._runs.append(run)
        self._names.append("")

    def _pop(self) -> Numbers:
        self._names.pop()
        return self._runs.pop()


def _places(run: Numbers, asked: Numbers) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]":
    return np.searchsorted(run, asked & ~DAY), np.searchsorted(run, asked | DAY, side="right")
