"""Ranges of offsets: which records the tables hold, which are missing, and which were accepted as lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from lakehouse.tables import table_io
from lakehouse.tables.table_io import HISTORY_PROPERTIES, Table

Offsets = npt.NDArray[np.int64]
Held = dict[int, Offsets]


@dataclass(frozen=True)
class Range:
    """Records `start` to `end` (exclusive) of a partition."""

    topic: str
    partition: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] {self.start:,} to {self.end - 1:,} ({self.end - self.start:,} records)"


def lost_ranges(domain: str) -> Table:
    """The table of ranges that were accepted as lost; `end_offset` is exclusive, null where nobody knows it."""
    columns = {"topic": "STRING", "partition": "INT", "start_offset": "BIGINT", "end_offset": "BIGINT"}
    return Table(
        domain,
        "lost_ranges",
        {**columns, "reason": "STRING", "accepted_at": "TIMESTAMP"},
        keys=("topic", "partition", "start_offset"),
        about="records that the topic no longer has and no table holds: given up by `lake rebuild --accept-loss`",
        properties=HISTORY_PROPERTIES,
        writer="deltalake",
    )


def accepted(domain: str) -> list[Range]:
    """The ranges accepted as lost so far, of topics that are there."""
    rows = table_io.read(lost_ranges(domain), filters=[("end_offset", ">=", 0)]).to_pylist()
    return [Range(row["topic"], row["partition"], row["start_offset"], row["end_offset"]) for row in rows]


def accept(domain: str, ranges: Sequence[Range], reason: str) -> None:
    """Note the ranges as lost, in one commit."""
    _note(domain, [(lost.topic, lost.partition, lost.start, lost.end) for lost in ranges], reason)


def accept_unknown(domain: str, topic: str, ends: Mapping[int, int]) -> None:
    """Note that nobody knows how many records a topic that is gone had from these offsets on."""
    _note(domain, [(topic, partition, end, None) for partition, end in ends.items()], "the topic was made again")


def _note(domain: str, ranges: Sequence[tuple[str, int, int, int | None]], reason: str) -> None:
    table, now = lost_ranges(domain), datetime.now(UTC)
    values = [dict(zip(table.columns, (*lost, reason, now), strict=True)) for lost in ranges]
    delta = table_io.create(table)
    table_io.append(delta, table_io.rows(table, values), "rebuild", delta.version() + 1)


def held(stores: Sequence[Table], topic: str) -> Held:
    """The offsets that the tables hold of the topic, sorted and distinct, by partition."""
    parts: dict[int, list[Offsets]] = {}
    for table in stores:
        found = table_io.read(table, ["partition", "offset"], filters=[("topic", "=", topic)])
        for partition in pc.unique(found["partition"]).to_pylist():
            offsets = found.filter(pc.equal(found["partition"], partition))["offset"].to_numpy()
            parts.setdefault(partition, []).append(offsets)
    return {partition: np.unique(np.concatenate(offsets)) for partition, offsets in parts.items()}


def gaps(offsets: Offsets, begin: int, end: int) -> list[tuple[int, int]]:
    """What sorted offsets leave out of begin to end (exclusive), as (start, end) pairs."""
    within = offsets[(offsets >= begin) & (offsets < end)]
    edges = np.concatenate([[begin - 1], within, [end]])
    at = np.flatnonzero(np.diff(edges) > 1)
    return [(int(edges[i]) + 1, int(edges[i + 1])) for i in at]


def outside(offsets: Offsets, topic: str, partition: int, ranges: Sequence[Range]) -> Offsets:
    """The offsets of a partition that lie in none of the ranges."""
    for known in ranges:
        if (known.topic, known.partition) == (topic, partition):
            offsets = offsets[(offsets < known.start) | (offsets >= known.end)]
    return offsets


def without(ranges: Sequence[Range], known: Sequence[Range]) -> list[Range]:
    """The parts of the ranges that none of the known ones covers."""
    left = []
    for lost in ranges:
        pieces = [(lost.start, lost.end)]
        for other in known:
            if (other.topic, other.partition) == (lost.topic, lost.partition):
                pieces = [
                    piece
                    for start, end in pieces
                    for piece in ((start, min(end, other.start)), (max(start, other.end), end))
                    if piece[0] < piece[1]
                ]
        left += [Range(lost.topic, lost.partition, start, end) for start, end in pieces]
    return left
