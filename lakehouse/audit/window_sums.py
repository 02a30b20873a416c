"""Recomputes averages per window from the events, in exact integers; the batch log says which events came too late."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lakehouse.audit.batch_log import BatchLog, Ints
from lakehouse.audit.contract import Windows
from lakehouse.audit.pinned import TableVersion
from lakehouse.audit.results import Findings
from lakehouse.kafka.offset_ranges import TopicPartition

Key = tuple[int, int | str]  # window start in microseconds, group
Sums = dict[Key, list[int]]  # count and sum by key


def micros(span: str) -> int:
    """Microseconds in a span as Spark writes it: `2 minutes`."""
    return int(pd.Timedelta(span).value // 1000)


def place(facts: pa.Table, window: int, slide: int, watermarks: Ints | None = None) -> Iterator[pd.DataFrame]:
    """Each event in each of its windows that was still open: columns start, group, amount.

    `watermarks` has one per event: Spark did not count the event in windows that had ended by then.
    """
    events = facts.filter(facts["event_at"].is_valid())
    if watermarks is not None:
        watermarks = watermarks[facts["event_at"].is_valid().to_numpy()]
    at, group, amount = (events[name].to_numpy() for name in ("event_at", "group", "amount"))
    newest = at - at % slide
    for back in range(-(-window // slide)):
        start = newest - back * slide
        inside = start + window > at
        if watermarks is not None:
            inside &= start + window > watermarks
        yield pd.DataFrame({"start": start[inside], "group": group[inside], "amount": amount[inside]})


def add(sums: Sums, placed: pd.DataFrame) -> None:
    """Add placed events to the sums."""
    cells = placed.groupby(["start", "group"])["amount"].agg(["size", "sum"])
    for key, count, total in zip(cells.index, cells["size"], cells["sum"], strict=True):
        cell = sums.setdefault((int(key[0]), _plain(key[1])), [0, 0])
        cell[0] += int(count)
        cell[1] += int(total)


def _plain(group: int | str | np.integer[Any]) -> int | str:
    return group if isinstance(group, str) else int(group)


class Speed:
    """The speed layer's sums as they must be, gathered from slices of valid events."""

    def __init__(self, log: BatchLog, window: int, slide: int) -> None:
        self.log, self._window, self._slide = log, window, slide
        self._sums: dict[str, Sums] = defaultdict(dict)
        self.late = self.waiting = 0

    def add(self, where: TopicPartition, offsets: Ints, facts: pa.Table) -> None:
        """Count valid events of a partition; those that no counted batch has read are waiting."""
        newest = self.log.generations[-1:]
        for generation in self.log.generations:
            known, marks = self.log.read(generation, where).watermarks(offsets)
            read = facts.filter(pa.array(known))
            placed = pd.concat(place(read, self._window, self._slide, marks[known]))
            add(self._sums[generation], placed)
            if [generation] == newest:
                self.waiting += int((~known).sum())
                self.late += sum(map(len, place(read, self._window, self._slide))) - len(placed)

    def expected(self) -> Sums:
        """The sums by key: of the newest generation that has the key, since its row replaced the earlier ones."""
        sums: Sums = {}
        for generation in self.log.generations:
            sums |= self._sums[generation]
        return sums


def compare(declared: Windows, expected: Sums, rows: pa.Table, window: int, source: str) -> Findings:
    """Compare a table's rows with the expected sums, each value with ==; `source` says what the sums were made from."""
    findings = Findings()
    left = {key: declared.values(*cell) for key, cell in expected.items()}
    seen = set()
    starts, ends = (rows[name].cast(pa.int64()).to_pylist() for name in ("window_start", "window_end"))
    for start, end, row in zip(starts, ends, rows.to_pylist(), strict=True):
        key = (start, row[declared.group])
        if key in seen:
            findings.add("row twice", [_name(declared, key)])
            continue
        seen.add(key)
        wanted = left.pop(key, None)
        if wanted is None:
            findings.add("row that nothing explains", [_name(declared, key)], f"{source} has no event for it")
            continue
        wrong = [
            f"{name} is {row[name]}, {source} gives {value}" for name, value in wanted.items() if row[name] != value
        ]
        wrong += [] if end == start + window else [f"window_end is {row['window_end']}"]
        findings.add("row differs", [_name(declared, key)] if wrong else [], "; ".join(wrong))
    lacking = [_name(declared, key) for key in sorted(left)]
    findings.add("row missing", lacking, f"{source} gives {left[min(left)]}" if left else "")
    return findings


def _name(declared: Windows, key: Key) -> str:
    return f"{datetime.fromtimestamp(key[0] / 1e6, UTC):%Y-%m-%d %H:%M:%S} {declared.group} {key[1]}"


def distinct_sums(history: TableVersion, declared: Windows, window: int, slide: int) -> Sums:
    """The sums over the first record of each event id: what the batch layer must contain.

    Two passes: the first finds ids that may be there twice, by a hash of 8 bytes each.
    The second compares those ids themselves.
    """
    repeated = _repeated(history, declared.event_id)
    sums: Sums = {}
    first: dict[str, tuple[tuple[object, ...], pa.Table]] = {}
    order = ("recorded_at", "topic", "partition", "offset")
    columns = [*dict.fromkeys([*declared.columns, declared.event_id, *order])]
    for rows in history.scan(columns):
        maybe = np.isin(_hashes(rows[declared.event_id]), repeated) & rows[declared.event_id].is_valid().to_numpy()
        for placed in place(declared.facts(rows.filter(pa.array(~maybe))), window, slide):
            add(sums, placed)
        some = rows.filter(pa.array(maybe))
        for number, row in enumerate(some.select([declared.event_id, *order]).to_pylist()):
            rank = tuple((row[name] is not None, row[name]) for name in order)  # without coordinates: the earliest
            name = row[declared.event_id]
            if name not in first or rank < first[name][0]:
                first[name] = (rank, some.slice(number, 1))
    if first:
        for placed in place(declared.facts(pa.concat_tables([row for _, row in first.values()])), window, slide):
            add(sums, placed)
    return sums


def _repeated(history: TableVersion, event_id: str) -> np.ndarray:
    parts = [np.empty(0, dtype=np.uint64)]
    for rows in history.scan([event_id]):
        parts.append(_hashes(rows[event_id].drop_null()))
    hashes, times = np.unique(np.concatenate(parts), return_counts=True)
    return hashes[times > 1]


def _hashes(texts: pa.ChunkedArray) -> np.ndarray:
    from pandas.util import hash_array

    return hash_array(texts.fill_null("").to_numpy(), categorize=False)
