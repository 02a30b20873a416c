"""What an audit compares, pinned in an order that lets it run beside live streams.

First what the queries have committed, then the versions of their tables, then the topic's offsets. So what is committed
must be in the tables, and what is in the tables must be on the topic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.audit import contract, results
from lakehouse.audit.contract import Audit, ViewCheck
from lakehouse.audit.pinned import TableVersion
from lakehouse.audit.record_checks import PartitionAudit
from lakehouse.audit.results import AuditedRange
from lakehouse.audit.views import AveragesCheck
from lakehouse.errors import UnavailableError
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import OffsetRanges
from lakehouse.streaming import accepted_losses, checkpoints


@dataclass(frozen=True)
class AuditInputs:
    """The tables, the views and the partitions of one audit, which began `at`."""

    domain: str
    at: datetime
    declared: Audit
    history: TableVersion
    dead_letters: TableVersion
    views: Sequence[ViewCheck]
    topic_id: str
    partitions: dict[int, PartitionAudit]


def pin(domain: str, bootstrap_servers: str) -> AuditInputs:
    """The inputs as they are now. Raises UnavailableError when the broker is away or has no such topic."""
    at, declared = datetime.now(UTC), contract.audit(domain)
    topics.check(bootstrap_servers)
    committed = checkpoints.last_committed(checkpoints.path(domain, declared.query))
    read_to = {part: end for (_topic, part), end in (committed.ends if committed else {}).items()}
    history, dead_letters = TableVersion(declared.history), TableVersion(declared.dead_letters)
    averages = [AveragesCheck(domain, windows, declared.topic) for windows in declared.windows]
    views = [*averages, *(make() for make in declared.others)]
    topic_id, partitions = _partitions(domain, declared.topic, bootstrap_servers, read_to)
    return AuditInputs(domain, at, declared, history, dead_letters, views, topic_id, partitions)


def _partitions(
    domain: str, topic: str, bootstrap_servers: str, read_to: dict[int, int]
) -> tuple[str, dict[int, PartitionAudit]]:
    state = topics.state(bootstrap_servers, topic)
    if state is None:
        raise UnavailableError(f"The broker has no topic {topic}.", "Start the lake: `lake up`.")
    accepted = accepted_losses.accepted(domain)
    ends = topics.committed_ends(bootstrap_servers, topic, state.ends)
    audited = _audited(domain, state.topic_id)
    return state.topic_id, {
        number: PartitionAudit(
            number,
            start,
            ends[number],
            read_to.get(number),
            audited.get(number, ()),
            accepted.get((topic, number), OffsetRanges()),
        )
        for number, start in state.starts.items()
    }


def _audited(domain: str, topic_id: str) -> dict[int, Sequence[AuditedRange]]:
    """What stored audits of this very topic have read, by partition."""
    last = results.last(domain)
    return {part.partition: part.covered for part in last.partitions} if last and last.topic_id == topic_id else {}
