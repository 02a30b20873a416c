"""Where a query of records goes on after a rebuild: its tables compared with its topics as the broker has them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.audit.pinned import by_partition
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.kafka.offset_ranges import OffsetArray, OffsetRanges, Offsets, PartitionRanges, TopicPartition
from lakehouse.tables import table_io
from lakehouse.tables.table_io import Table


@dataclass(frozen=True)
class RebuildPlan:
    """Where reading begins in each partition, below which offset the tables may have records already, and what is lost.

    Lost is what neither the tables nor the topic have.
    """

    starts: dict[TopicPartition, int]
    stored_until: dict[TopicPartition, int]
    lost: dict[TopicPartition, OffsetRanges]


def stored_offsets(tables: Sequence[Table], topics: Sequence[str]) -> dict[TopicPartition, OffsetRanges]:
    """The offsets of the topics that the tables have."""
    parts: dict[TopicPartition, list[OffsetArray]] = defaultdict(list)
    for table in tables:
        rows = table_io.read(table, ["topic", "partition", "offset"], filters=[("topic", "in", list(topics))])
        for where, some in by_partition(rows).items():
            parts[where].append(some["offset"].to_numpy())
    return {where: OffsetRanges.from_offsets(np.unique(np.concatenate(offsets))) for where, offsets in parts.items()}


def plan_rebuild(stored: PartitionRanges, firsts: Offsets, begun: Offsets) -> RebuildPlan:
    """Go on at the first record of each partition that is not stored and that the topic still has.

    `firsts` are the first offsets that the topics still have, `begun` is where reading began at first. A crash between
    two writes of one batch leaves gaps below the highest stored offset; they are read again.
    """
    plan = RebuildPlan({}, {}, {})
    for where, first in sorted(firsts.items()):
        ranges = stored.get(where, OffsetRanges())
        begin = min(first, begun.get(where, first), *(each.start for each in ranges))
        end = stored_end(ranges)
        missing = ranges.gaps(begin, max(end, first))
        if lost := missing & OffsetRanges.of(begin, first):
            plan.lost[where] = lost
        plan.starts[where] = next((each.start for each in missing - lost), max(end, first))
        if plan.starts[where] < end:
            plan.stored_until[where] = end
    return plan


def without_batch_layer(domain: Domain, tables: QueryTables) -> tuple[Table, ...]:
    """The query's serving tables when nothing recomputes them; none where a recomputed table has the key of one.

    Of such a query no row comes back whose records the topic has lost.
    """
    serving = [table for table in tables.state_tables if not standard_tables.is_batch_log(table)]
    recomputed = {table.keys for table in domain.tables if standard_tables.is_recomputed(table)}
    if domain.recompute is not None and any(table.keys in recomputed for table in serving):
        return ()
    return tuple(serving)


def stored_end(ranges: OffsetRanges) -> int:
    """The offset after the last one that is stored."""
    return max((each.end for each in ranges), default=0)
