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
from lakehouse.kafka.offset_ranges import OffsetRange
from lakehouse.kafka.reader import TopicReader, slices

SLICE = 100_000  # records in memory at a time
REMOVED_SLICE = 1_000_000  # offsets
WORTH_HELPERS = 100_000  # records; starting two more processes takes a second or two
Ranges = Mapping[int, OffsetRange]  # by partition


class AuditRun:
    """Compares pinned inputs with the topic, slice by slice."""

    def __init__(self, pinned: AuditInputs, bootstrap_servers: str) -> None:
        self._inputs, self._servers = pinned, bootstrap_servers
        self._topic, self._partitions = pinned.declared.topic, pinned.partitions

    def run(self) -> None:
        """Audit everything; what is off is in the findings of partitions and views."""
        self._check_foreign_rows()
        removed = {part.number: OffsetRange(0, part.start) for part in self._partitions.values()}
        for ranges in slices(removed, REMOVED_SLICE):
            self._check_removed(ranges)
        retained = {part.number: OffsetRange(part.start, part.end) for part in self._partitions.values()}
        with ExitStack() as stack:
            reader = TopicReader(self._servers, self._topic)
            stack.callback(reader.close)
            many = sum(each.length for each in retained.values()) > WORTH_HELPERS
            pool = stack.enter_context(helpers()) if many else None
            for ranges in slices(retained, SLICE):
                self._check_retained(ranges, reader, pool)

    def _check_foreign_rows(self) -> None:
        """Find rows with coordinates that the topic never had."""
        ends = {part.number: OffsetRange(0, part.end) for part in self._partitions.values()}
        retired = pc.starts_with(pc.field("topic"), f"{self._topic}@")  # of a topic that was made again: `lake rebuild`
        where = pc.field("offset").is_valid() & ~within(self._topic, ends) & ~retired
        for table in (self._inputs.history, self._inputs.dead_letters):
            for number, rows in by_partition(table.read(["topic", "partition", "offset"], where)).items():
                part = self._partitions.setdefault(number, PartitionAudit(number, 0, 0))
                what = f"in {table.table.name}, but the topic never had it"
                part.findings.add(what, offsets(rows), f"of topic {rows['topic'][0]}")

    def _check_removed(self, ranges: Ranges) -> None:
        """Compare the rows of records that retention has removed with earlier audits; doubled rows are found, too."""
        where = within(self._topic, ranges)
        of_views = (name for view in self._inputs.views for name in view.columns)
        columns = [*dict.fromkeys(["partition", "offset", *of_views])]
        history = by_partition(self._inputs.history.read(columns, where))
        dead = by_partition(self._inputs.dead_letters.read(["partition", "offset"], where))
        for number, removed in ranges.items():
            self._partitions[number].check_removed(removed, offsets(history[number]), offsets(dead[number]))
            self._add_to_views(number, history[number])

    def _add_to_views(self, number: int, rows: pa.Table) -> None:
        for view in self._inputs.views:
            view.add(number, rows)

    def _check_retained(self, ranges: Ranges, reader: TopicReader, pool: Executor | None) -> None:
        """Compare a slice that the topic still has."""
        where, declared = within(self._topic, ranges), self._inputs.declared
        history = by_partition(self._inputs.history.read(list(declared.history.columns), where))
        letters = self._letters(where)
        decoded: dict[int, list[DecodedRecords]] = defaultdict(list)
        for number, records in self._decoded(ranges, reader, pool):
            decoded[number].append(records)
        starts = topics.starts(self._servers, self._topic, ranges)  # retention may have gone on meanwhile
        for number, (start, end) in ranges.items():
            part, rows = self._partitions[number], history[number]
            first = min(max(start, starts[number]), end)
            if first > start:
                part.start = first
                self._add_to_views(number, rows.filter(pc.less(rows["offset"], first)))
            records = join(declared.history.arrow_schema, decoded[number], first)
            left = [letter for letter in letters[number] if letter[0] >= first]
            part.check_retained(OffsetRange(first, end), records, since(rows, first), left)
            self._add_to_views(number, records.rows)

    def _letters(self, where: pc.Expression) -> dict[int, list[DeadLetter]]:
        letters: dict[int, list[DeadLetter]] = defaultdict(list)
        for rows in self._inputs.dead_letters.scan(["partition", "offset", "recorded_at", "key", "value"], where):
            for number, offset, digest in digests(rows):
                letters[number].append((offset, digest))
        return letters

    def _decoded(
        self, ranges: Ranges, reader: TopicReader, pool: Executor | None
    ) -> Iterator[tuple[int, DecodedRecords]]:
        """What the decoder makes of the records of the ranges, in other processes where there is a pool."""
        waiting, domain = [], self._inputs.domain
        for number, records in reader.read(ranges):
            if pool is None:
                yield number, decode_records(domain, number, records)
                continue
            waiting.append((number, pool.submit(decode_records, domain, number, records)))
            if len(waiting) > 8:
                first, future = waiting.pop(0)
                yield first, future.result()
        yield from ((number, future.result()) for number, future in waiting)


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
        topic=pinned.declared.topic,
        topic_id=pinned.topic_id,
        partitions=partitions,
        views=views,
    )


def audit(domain: str, bootstrap_servers: str) -> AuditResult:
    """Audit a domain and store the result, which it also returns. Raises UnavailableError when the broker is away."""
    began = time.monotonic()
    pinned = inputs.pin(domain, bootstrap_servers)
    AuditRun(pinned, bootstrap_servers).run()
    result = report(pinned, began)
    results.store(domain, pinned.at, result)
    return result
