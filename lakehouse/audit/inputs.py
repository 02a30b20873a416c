"""What an audit compares, pinned in an order that lets it run beside live streams.

First what the queries have committed, then the versions of their tables, then the topics' offsets. So what is committed
must be in the tables, and what is in the tables must be on a topic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.audit import contract, results
from lakehouse.audit.contract import Audit, ViewCheck
from lakehouse.audit.pinned import TableVersion
from lakehouse.audit.record_checks import PartitionAudit
from lakehouse.audit.results import AuditedRange
from lakehouse.audit.views import AveragesCheck
from lakehouse.contract.discovery import load
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import OffsetRanges, Offsets, TopicPartition
from lakehouse.kafka.topics import TopicState
from lakehouse.streaming import accepted_losses, checkpoints, event_reading


@dataclass(frozen=True)
class AuditInputs:
    """The tables, the views and the partitions of one audit, which began `at`."""

    domain: str
    at: datetime
    declared: Audit
    history: TableVersion
    dead_letters: TableVersion
    views: Sequence[ViewCheck]
    topic_ids: dict[str, str]
    partitions: dict[TopicPartition, PartitionAudit]


def pin(domain: str, bootstrap_servers: str) -> AuditInputs:
    """The inputs as they are now. Raises UnavailableError when the broker is away or lacks one of the topics."""
    at, declared, queries = datetime.now(UTC), contract.audit(domain), load(domain).query_tables
    topics.check(bootstrap_servers)
    committed = checkpoints.last_committed(checkpoints.path(domain, declared.query))
    history, dead_letters = TableVersion(declared.history), TableVersion(declared.dead_letters)
    averages = [AveragesCheck(domain, each, queries[each.query].topic_names) for each in declared.windows]
    views = [*averages, *(make() for make in declared.others)]
    found = topics.existing(bootstrap_servers, queries[declared.query].topic_names, "Start the lake: `lake up`.")
    ends = topics.committed_ends(bootstrap_servers, found.ends)
    former_until = event_reading.former_until(checkpoints.path(domain, declared.query))
    partitions = _partitions(domain, found, ends, committed.ends if committed else {}, former_until)
    return AuditInputs(domain, at, declared, history, dead_letters, views, found.ids, partitions)


def _partitions(
    domain: str, found: TopicState, ends: Offsets, read_to: Offsets, former_until: Offsets
) -> dict[TopicPartition, PartitionAudit]:
    accepted, audited = accepted_losses.accepted(domain), _audited(domain, found.ids)
    return {
        where: PartitionAudit(
            *where,
            start,
            ends[where],
            read_to.get(where),
            audited.get(where, ()),
            accepted.get(where, OffsetRanges()),
            former_until=former_until.get(where, 0),
        )
        for where, start in found.starts.items()
    }


def _audited(domain: str, topic_ids: Mapping[str, str]) -> dict[TopicPartition, Sequence[AuditedRange]]:
    """What stored audits of these very topics have read, by partition."""
    last = results.last(domain)
    if last is None:
        return {}
    same = {topic for topic, topic_id in topic_ids.items() if last.topic_ids.get(topic) == topic_id}
    return {(part.topic, part.partition): part.covered for part in last.partitions if part.topic in same}
