"""The audit: no record of the topic is lost or doubled, and every average is equal (==) to that of its events."""

import time
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit import inputs, processes, results
from lakehouse.audit.conservation import offsets
from lakehouse.audit.inputs import AuditInputs
from lakehouse.audit.pinned import by_partition, within
from lakehouse.audit.record_checks import PartitionAudit, since
from lakehouse.audit.results import AuditResult
from lakehouse.audit.slice_check import Checked, Setting
from lakehouse.kafka.offset_ranges import OffsetRange, TopicPartition
from lakehouse.kafka.reader import shares, slices
from lakehouse.streaming import accepted_losses

SLICE = 200_000  # records in memory at a time, in each process
REMOVED_SLICE = 1_000_000  # offsets
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
        records = sum(each.length for each in retained.values())
        helpers = processes.helpers_for(records)
        size = max(1, min(SLICE, records // (2 * (helpers + 1)))) if helpers else SLICE
        jobs = [self._parts(ranges) for ranges in shares(retained, size)]
        with processes.checking(self._setting(), jobs, helpers) as results:
            self._check_foreign_rows()
            for ranges in slices(removed, REMOVED_SLICE):
                self._check_removed(ranges)
            found = {number: self._take(checked) for number, checked in results}
        for _number, parts in sorted(found.items()):  # findings name the first places
            for part in parts:
                self._partitions[part.place].add(part)

    def _setting(self) -> Setting:
        pinned = self._inputs
        columns = dict.fromkeys(name for view in pinned.views for name in view.columns)
        versions = pinned.history.version, pinned.dead_letters.version
        return Setting(pinned.domain, self._servers, *versions, tuple(columns))

    def _parts(self, ranges: Ranges) -> list[PartitionAudit]:
        return [self._partitions[place].part(each) for place, each in ranges.items() if each.length]

    def _take(self, checked: Sequence[Checked]) -> list[PartitionAudit]:
        """Give the events of a slice to the views; the audits of its partitions."""
        for each in checked:
            self._add_checked(each)
        return [each.audit for each in checked]

    def _add_checked(self, checked: Checked) -> None:
        """Give the views what a partition has: rows that an earlier version read as stored, others as decoded."""
        part = checked.audit
        for view in self._inputs.views:
            former = min(view.former_until.get(part.place, 0), part.former_until, part.due)
            cut = max(part.start, former)
            view.add(part.place, checked.stored.filter(pc.less(checked.stored["offset"], cut)))
            view.add(part.place, since(checked.decoded, cut) if cut > part.start else checked.decoded)

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
            for view in self._inputs.views:
                view.add(place, history[place])


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
