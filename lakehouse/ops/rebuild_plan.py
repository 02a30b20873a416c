"""Where a query of records goes on after a rebuild: its tables compared with its topics as the broker has them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.audit import results
from lakehouse.audit.pinned import by_partition
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.kafka.offset_ranges import OffsetArray, OffsetRanges, Offsets, PartitionRanges, TopicPartition
from lakehouse.kafka.topics import TopicState
from lakehouse.streaming.sidecar import Sidecar
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


def offsets_without_record(domain: str, topic_ids: Mapping[str, str]) -> dict[TopicPartition, OffsetRanges]:
    """The offsets of these very topics at which audits found no record: of a transaction's marker or an aborted one."""
    last = results.last(domain)
    if last is None:
        return {}
    same = {topic for topic, topic_id in topic_ids.items() if last.topic_ids.get(topic) == topic_id}
    return {
        (part.topic, part.partition): OffsetRanges(gap for each in part.covered for gap in each.gaps or ())
        for part in last.partitions
        if part.topic in same
    }


def plan_rebuild(
    stored: PartitionRanges, without_record: PartitionRanges, firsts: Offsets, begun: Offsets
) -> RebuildPlan:
    """Go on at the first record of each partition that is not stored and that the topic still has.

    `firsts` are the first offsets that the topics still have, `begun` is where reading began at first. A crash between
    two writes of one batch leaves gaps below the highest stored offset; they are read again. Offsets that are known to
    be `without_record` are not missing.
    """
    plan = RebuildPlan({}, {}, {})
    for where, first in sorted(firsts.items()):
        ranges = stored.get(where, OffsetRanges())
        begin = min(first, begun.get(where, first), *(each.start for each in ranges))
        end = stored_end(ranges)
        missing = ranges.gaps(begin, max(end, first)) - without_record.get(where, OffsetRanges())
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
    serving += tables.postgres_tables
    recomputed = {table.keys for table in domain.tables if standard_tables.is_recomputed(table)}
    if domain.recompute is not None and any(table.keys in recomputed for table in serving):
        return ()
    return tuple(serving)


def lost_tables(domain: Domain, tables: QueryTables, before: Sidecar) -> list[Table]:
    """The query's serving tables that would lose rows for good; those in PostgreSQL may have some once it has run."""
    return [
        table
        for table in without_batch_layer(domain, tables)
        if (before.generation if table in tables.postgres_tables else table.path.exists())
    ]


def lost_what_was_read(before: Sidecar, found: TopicState) -> bool:
    """Whether records are gone that the query has read: those before its first one were gone already."""
    shorter = any(first > before.starts.get(where, 0) for where, first in found.starts.items())
    return shorter or bool(topics_left(before, found) or topics_made_again(before, found))


def topics_left(before: Sidecar, found: TopicState) -> set[str]:
    """The topics that the query has read and reads no more."""
    return before.topic_ids.keys() - found.ids.keys()


def topics_made_again(before: Sidecar, found: TopicState) -> set[str]:
    """The topics that have another id than when the query read them; an id that was never recorded is like any."""
    known = before.former_topic_ids | before.topic_ids
    return {name for name, topic_id in found.ids.items() if known.get(name) not in (None, "", topic_id)}


def stored_end(ranges: OffsetRanges) -> int:
    """The offset after the last one that is stored."""
    return max((each.end for each in ranges), default=0)
