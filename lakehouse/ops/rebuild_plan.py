"""Where a query of records goes on after a rebuild: a comparison of its tables with the topic as the broker has it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from lakehouse.kafka.offset_ranges import OffsetArray, OffsetRanges, PartitionRanges
from lakehouse.kafka.topics import TopicState
from lakehouse.tables import table_io
from lakehouse.tables.table_io import Table

StoredOffsets = dict[int, OffsetRanges]  # by partition


@dataclass(frozen=True)
class RebuildPlan:
    """Where reading begins in each partition, below which offset the tables may have records already, and what is lost.

    Lost is what neither the tables nor the topic have.
    """

    starts: dict[int, int]
    stored_until: dict[int, int]
    lost: PartitionRanges


def stored_offsets(tables: Sequence[Table], topic: str) -> StoredOffsets:
    """The offsets of the topic that the tables have."""
    parts: dict[int, list[OffsetArray]] = defaultdict(list)
    for table in tables:
        rows = table_io.read(table, ["partition", "offset"], filters=[("topic", "=", topic)])
        for partition in pc.unique(rows["partition"]).to_pylist():
            parts[partition].append(rows.filter(pc.equal(rows["partition"], partition))["offset"].to_numpy())
    return {part: OffsetRanges.from_offsets(np.unique(np.concatenate(offsets))) for part, offsets in parts.items()}


def plan_rebuild(stored: StoredOffsets, topic: TopicState, begun: Mapping[int, int]) -> RebuildPlan:
    """Go on at the first record of each partition that is not stored and that the topic still has.

    `begun` is where reading began at first. A crash between two writes of one batch leaves gaps below the highest
    stored offset; they are read again.
    """
    plan = RebuildPlan({}, {}, {})
    for partition, first in sorted(topic.starts.items()):
        ranges = stored.get(partition, OffsetRanges())
        begin = min(first, begun.get(partition, first), *(each.start for each in ranges))
        end = stored_end(ranges)
        missing = ranges.gaps(begin, max(end, first))
        if lost := missing & OffsetRanges.of(begin, first):
            plan.lost[topic.name, partition] = lost
        plan.starts[partition] = next((each.start for each in missing - lost), max(end, first))
        if plan.starts[partition] < end:
            plan.stored_until[partition] = end
    return plan


def stored_end(ranges: OffsetRanges) -> int:
    """The offset after the last one that is stored."""
    return max((each.end for each in ranges), default=0)
