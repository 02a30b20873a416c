"""The audit: no record of the topic is lost or doubled, and every average is equal (==) to that of its events."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit import inputs, results
from lakehouse.audit.conservation import offsets
from lakehouse.audit.decode import DecodedRecords, decode_records, digests, helpers, join
from lakehouse.audit.inputs import AuditInputs
from lakehouse.audit.pinned import by_partition, within
from lakehouse.audit.record_checks import DeadLetter, PartitionAudit, since
from lakehouse.audit.results import AuditResult
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import OffsetRange, TopicPartition
from lakehouse.kafka.reader import TopicReader, slices
from lakehouse.streaming import accepted_losses

SLICE = 100_000  # records in memory at a time
REMOVED_SLICE = 1_000_000  # offsets
WORTH_HELPERS = 100_000  # records; starting two more processes takes a second or two
Ranges = Mapping[TopicPartition, OffsetRange]


class AuditRun:
    """Compares pinned inputs with the topic, slice by slice."""

    def __init__(self, pinned: AuditInputs, bootstrap_servers: str) -> None:
        self._inputs, self._servers = pinned, bootstrap_servers
        self._partitions = pinned.partitions

    def run(self) -> None:
        """Audit everything; what is off is in the findings of partitions and views."""
        removed = {where: OffsetRange(0, part.start) for where, part in self._partitions.items()}
        retained = {where: OffsetRange(part.start, part.end) for where, part in self._partitions.items()}
        self._check_foreign_rows()
        for ranges in slices(removed, REMOVED_SLICE):
            self._check_removed(ranges)
        with ExitStack() as stack:
            reader = TopicReader(self._servers)
            stack.callback(reader.close)
            many = sum(each.length for each in retained.values()) > WORTH_HELPERS
            pool = stack.enter_context(helpers()) if many else None
            for ranges in slices(retained, SLICE):
                self._check_retained(ranges, reader, pool)

    def _check_foreign_rows(self) -> None:
        """Find rows with coordinates that no topic ever had."""
        ends = {where: OffsetRange(0, part.end) for where, part in self._partitions.items()}
        kept = accepted_losses.retired_topics(self._inputs.domain) - self._inputs.topic_ids.keys()
        retired = pc.field("topic").isin(pa.array(sorted(kept), pa.string()))  # no longer read: `lake rebuild`
        where = pc.field("offset").is_valid() & ~within(ends) & ~retired
        for table in (self._inputs.history, self._inputs.dead_letters):
            for place, rows in by_partition(table.read(["topic", "partition", "offset"], where)).items():
                part = self._partitions.setdefault(place, PartitionAudit(*place, 0, 0))
                part.findings.add(f"in {table.table.name}, but the topic never had it", offsets(rows))

    def _check_removed(self, ranges: Ranges) -> None:
        """Compare the rows of records that retention has removed with earlier audits; doubled rows are found, too."""
        where = within(ranges)
        of_views = (name for view in self._inputs.views for name in view.columns)
        columns = [*dict.fromkeys(["topic", "partition", "offset", *of_views])]
        history = by_partition(self._inputs.history.read(columns, where))
        dead = by_partition(self._inputs.dead_letters.read(["topic", "partition", "offset"], where))
        for place, removed in ranges.items():
            self._partitions[place].check_removed(removed, offsets(history[place]), offsets(dead[place]))
            self._add_to_views(place, history[place])

    def _add_to_views(self, place: TopicPartition, rows: pa.Table) -> None:
        for view in self._inputs.views:
            view.add(place, rows)

    def _check_retained(self, ranges: Ranges, reader: TopicReader, pool: Executor | None) -> None:
        """Compare a slice that the topic still has."""
        where, declared = within(ranges), self._inputs.declared
        history = by_partition(self._inputs.history.read(list(declared.history.columns), where))
        letters = self._letters(where)
        decoded: dict[TopicPartition, list[DecodedRecords]] = defaultdict(list)
        for place, records in self._decoded(ranges, reader, pool):
            decoded[place].append(records)
        starts = topics.starts(self._servers, ranges)  # retention may have gone on meanwhile
        for place, (start, end) in ranges.items():
            part, rows = self._partitions[place], history[place]
            first = min(max(start, starts[place]), end)
            if first > start:
                part.start = first
                self._add_to_views(place, rows.filter(pc.less(rows["offset"], first)))
            expected = join(declared.history.arrow_schema, decoded[place], first)
            left = [letter for letter in letters[place] if letter[0] >= first]
            part.check_retained(OffsetRange(first, end), expected, since(rows, first), left)
            self._add_to_views(place, expected.rows)

    def _letters(self, where: pc.Expression) -> dict[TopicPartition, list[DeadLetter]]:
        letters: dict[TopicPartition, list[DeadLetter]] = defaultdict(list)
        columns = ["topic", "partition", "offset", "recorded_at", "key", "value"]
        for rows in self._inputs.dead_letters.scan(columns, where):
            for place, offset, digest in digests(rows):
                letters[place].append((offset, digest))
        return letters

    def _decoded(
        self, ranges: Ranges, reader: TopicReader, pool: Executor | None
    ) -> Iterator[tuple[TopicPartition, DecodedRecords]]:
        """What the decoder makes of the records of the ranges, in other processes where there is a pool."""
        waiting, domain = [], self._inputs.domain
        for place, records in reader.read(ranges):
            if pool is None:
                yield place, decode_records(domain, place, records)
                continue
            waiting.append((place, pool.submit(decode_records, domain, place, records)))
            if len(waiting) > 8:
                first, future = waiting.pop(0)
                yield first, future.result()
        yield from ((place, future.result()) for place, future in waiting)


def report(pinned: AuditInputs, began: float) -> AuditResult:
    """The result; `began` is the monotonic clock's time at the start of the audit."""
    at = pinned.at.isoformat()
    partitions = [part.result(at) for _, part in sorted(pinned.partitions.items())]
    views = [result for view in pinned.views for result in view.check(pinned.history)]
    return AuditResult(
        domain=pinned.domain,
        at=at,
        clean=not any([part.findings for part in partitions] + [view.findings for view in views]),
        seconds=round(time.monotonic() - began, 3),
        records=sum(part.records for part in partitions),
        topic=", ".join(pinned.topic_ids),
        topic_id=", ".join(pinned.topic_ids.values()),
        partitions=partitions,
        views=views,
        topic_ids=pinned.topic_ids,
    )


def audit(domain: str, bootstrap_servers: str) -> AuditResult:
    """Audit a domain and store the result, which it also returns. Raises UnavailableError when the broker is away."""
    began = time.monotonic()
    pinned = inputs.pin(domain, bootstrap_servers)
    AuditRun(pinned, bootstrap_servers).run()
    result = report(pinned, began)
    results.store(domain, pinned.at, result)
    return result
