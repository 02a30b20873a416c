"""What a recomputation of windows computes again: all, or what has changed since the last one.

A new record changes the windows of its own event time. It can also change others, since only the first record of an
`event_id` counts: when it lies before an older one (another partition, a rebuild), the older one no longer counts. So
the windows of all records that share an id with a new one are computed again, on whatever day they are. `IdIndex`
knows these days, so only their files are read.

A window that is computed again has old records too, and the first record of each may lie in any other window. An
id that the index has once is its own first. The records of the others are read on the days that the index names, and
compared as `layers.with_first` does. A hash that two ids share only means reading more.

A record can also become late without a new one beside it: when the batch that has read it comes into the batch log
after the last recomputation. The windows of records that the log did not know then are computed again.

All of this holds while the history only grows. Commits that change no rows (a compaction) are passed over: what was
appended is read from the files as they were appended. Where the log or such a file is gone, or rows were changed,
everything is computed again. So it is when the numbers of rows do not add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse.kafka.offset_ranges import Offsets, TopicPartition
from lakehouse.streaming.id_index import MICROS_A_DAY, NO_DAY, IdIndex, Numbers, numbers
from lakehouse.streaming.recompute_state import State, by_partition, later
from lakehouse.tables import appended
from lakehouse.tables.appended import ChangedError, Span
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    import numpy.typing as npt

PLACE = ("topic", "partition", "offset")
ORDER = ("recorded_at", *PLACE)  # as in layers.with_first
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_SPANS = 100  # of a filter; more become fewer and longer ones
MOST_SHARED = 1_000_000  # ids in the driver's memory


@dataclass(frozen=True)
class Windows:
    """Length of a window and time between two starts, in microseconds."""

    length: int
    slide: int

    def changed(self, event_at: pa.ChunkedArray) -> "set[int]":
        """The number of each slide that has one of the times."""
        micros = event_at.drop_null().cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
        return set((np.unique(micros // self.slide)).tolist())

    def spans(self, slides: "set[int]") -> list[Span]:
        """The times that all windows with a time in one of the slides cover, at most MOST_SPANS of them."""
        if not slides:
            return []
        numbered = np.array(sorted(slides), dtype=np.int64) * self.slide
        starts, ends = ((numbered - self.length) // self.slide + 1) * self.slide, numbered + self.length
        gap = 0
        while len(breaks := _breaks(starts, ends, gap)) >= MOST_SPANS:
            gap = max(2 * gap, self.slide)
        firsts, lasts = starts[[0, *breaks]], ends[[*(breaks - 1), -1]]
        return [Span(_moment(start), _moment(end)) for start, end in zip(firsts, lasts, strict=True)]


def _breaks(starts: "npt.NDArray[np.int64]", ends: "npt.NDArray[np.int64]", gap: int) -> "npt.NDArray[np.int64]":
    return np.flatnonzero(starts[1:] > ends[:-1] + gap) + 1


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(micros))


@dataclass
class Scanned:
    """What a pass over records has found; `ends` is the offset after the last record of each partition."""

    rows: int = 0
    found: list[Numbers] = field(default_factory=list)
    slides: set[int] = field(default_factory=set)
    ends: dict[TopicPartition, int] = field(default_factory=dict)


def scan(table: Table, paths: Sequence[Path], windows: Windows | None = None) -> Scanned:
    """A pass over the files of a table of records; with `windows` over its events."""
    seen = Scanned()
    columns = [*PLACE, *(("event_id", "event_at") if windows else ())]
    for part in appended.scan(table, paths, columns):
        seen.rows += part.num_rows
        seen.ends = later(seen.ends, _ends(part))
        if windows:
            seen.slides |= windows.changed(part["event_at"])
            named = part.filter(pc.field("event_id").is_valid())
            seen.found.append(numbers(named["event_id"], named["event_at"]))
    return seen


def _ends(part: pa.Table) -> dict[TopicPartition, int]:
    last = part.filter(pc.field("offset").is_valid()).group_by(["topic", "partition"]).aggregate([("offset", "max")])
    return {(row["topic"], row["partition"]): row["offset_max"] + 1 for row in last.to_pylist()}


class Events:
    """The events of one version of the history."""

    def __init__(self, table: Table, delta: DeltaTable, windows: Windows) -> None:
        self.table, self.windows = table, windows
        self.listed = appended.files(delta)
        self.rows = int(self.listed["num_records"].sum())

    def paths(self, spans: Sequence[Span]) -> list[Path]:
        """The files that may have events of these times."""
        return appended.paths(self.table.path, appended.overlapping(self.listed, "event_at", spans))

    def all_paths(self) -> list[Path]:
        """All files."""
        return appended.paths(self.table.path, self.listed)

    def changed(self, new: Sequence[Path], seen: Scanned, index: IdIndex, state: State, read: Offsets) -> list[Span]:
        """The times whose windows have changed by the new files; the index knows them already.

        `read` is where the batch log ends now.
        """
        shared = self.sharing(new, index)
        slides = seen.slides | self.windows.changed(pa.chunked_array([pa.array(shared["event_at"])]))
        return self.windows.spans(slides | self._read_since(state, read))

    def sharing(self, paths: Sequence[Path], index: IdIndex, spans: Sequence[Span] | None = None) -> pd.DataFrame:
        """All records of each id that occurs in the files (at these times) and more than once in the history, in order.

        Raises ChangedError when they are too many.
        """
        where = pc.field("event_id").is_valid()
        where = where if spans is None else where & appended.within("event_at", spans)
        ids, days = pa.array([], pa.string()), set[int]()
        for part in appended.scan(self.table, paths, ["event_id", "event_at"], where):
            asked = numbers(part["event_id"], part["event_at"])
            shared = index.counts(asked) > 1
            days |= index.days(asked[shared])
            ids = pc.unique(pa.chunked_array([ids, *part["event_id"].filter(pa.array(shared)).chunks]))
            if len(ids) > MOST_SHARED:
                raise ChangedError(f"more than {MOST_SHARED:,} events were sent again")
        return self._records(ids, days)

    def _records(self, ids: pa.Array, days: set[int]) -> pd.DataFrame:
        columns = [*ORDER, "event_id", "event_at"]
        rows = [pa.schema([self.table.arrow_schema.field(name) for name in columns]).empty_table()]
        if len(ids):
            spans = [Span(_moment(day * MICROS_A_DAY), _moment((day + 1) * MICROS_A_DAY)) for day in sorted(days)]
            paths = self.all_paths() if NO_DAY in days else self.paths(spans)
            rows += appended.scan(self.table, paths, columns, pc.field("event_id").isin(ids))
        frame: pd.DataFrame = pa.concat_tables(rows).to_pandas()
        return frame.sort_values([*ORDER], na_position="first", kind="stable")

    def _read_since(self, state: State, read: Offsets) -> set[int]:
        """The slides of records that were in the history, and that the batch log knows only now."""
        ends, before = by_partition(state.ends), by_partition(state.read)
        behind = {where: at for where in ends if (at := before.get(where, 0)) < min(ends[where], read.get(where, 0))}
        if not behind:
            return set()
        highest = self.listed.get("max.offset", pd.Series(np.nan, self.listed.index)).fillna(np.inf)
        paths = appended.paths(self.table.path, self.listed[highest >= min(behind.values())])
        parts = appended.scan(self.table, paths, ["event_at"], _from(behind))
        return {slide for part in parts for slide in self.windows.changed(part["event_at"])}


def _from(offsets: Offsets) -> pc.Expression:
    found = pc.scalar(False)
    for (topic, partition), start in offsets.items():
        of = (pc.field("topic") == pa.scalar(topic)) & (pc.field("partition") == pa.scalar(partition))
        found |= of & (pc.field("offset") >= pa.scalar(start))
    return found


def not_first(shared: pd.DataFrame) -> pa.Table:
    """The coordinates of those records, in order, whose id another one had before.

    Raises ChangedError when two records have the same coordinates: then these do not say which one it is.
    """
    if shared.duplicated([*PLACE]).any():
        raise ChangedError("the history has a record twice")
    again = shared[shared.duplicated("event_id")]
    schema = pa.schema([("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())])
    return pa.Table.from_pandas(again[[*PLACE]], schema=schema, preserve_index=False)


def checked(state: State | None, rests_on: str, history: DeltaTable, generations: Sequence[str]) -> State:
    """The state, when this recomputation can go on from it. Raises ChangedError with the reason when it cannot."""
    if state is None:
        raise ChangedError("nothing is known of an earlier one")
    rules: list[tuple[Any, str]] = [
        (state.rests_on != rests_on, "window, contract or code has changed"),
        (state.history_id != str(history.metadata().id), "the history was created again"),
        (state.history_version > history.version(), "the history was created again"),
        (list(state.generations) != list(generations), "the speed query has another checkpoint"),
        (history.protocol().min_reader_version > 1, "the history has features that only Spark reads"),
        (history.metadata().partition_columns, "the history is partitioned"),
    ]
    for broken, reason in rules:
        if broken:
            raise ChangedError(reason)
    return state
