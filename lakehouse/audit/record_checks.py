"""One partition of an audited topic: its records compared with their rows in history and dead letters."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit import earlier_audits
from lakehouse.audit.conservation import balance_offsets, differences, offsets
from lakehouse.audit.decode import DecodedRecords
from lakehouse.audit.results import AuditedRange, Findings, PartitionResult
from lakehouse.kafka.offset_ranges import OffsetArray, OffsetRange, OffsetRanges, TopicPartition

DeadLetter = tuple[int, bytes]  # its offset and a digest of its content
_COUNTED = ("records", "history", "dead_letters", "waiting", "now_events", "no_longer_events", "other_ids")
_ZEROS = r"^(-?[0-9]+)\.0+$"


@dataclass
class PartitionAudit:
    """The audit of one partition: its offsets on the topic, and the findings so far.

    `read_to` is None where the history has read nothing; `audited` is what earlier audits have read, `accepted` what a
    user has accepted as lost. Below `former_until` an earlier version has read the records, by other rules: whether
    one was an event is not judged there.
    """

    topic: str
    partition: int
    start: int
    end: int
    read_to: int | None = None
    audited: Sequence[AuditedRange] = ()
    accepted: OffsetRanges = field(default_factory=OffsetRanges)
    findings: Findings = field(default_factory=Findings)
    records: int = 0
    history: int = 0
    dead_letters: int = 0
    waiting: int = 0
    gaps: OffsetRanges = field(default_factory=OffsetRanges)
    former_until: int = 0
    now_events: int = 0
    no_longer_events: int = 0
    other_ids: int = 0

    @property
    def place(self) -> TopicPartition:
        """Topic and partition."""
        return self.topic, self.partition

    def part(self, range_: OffsetRange) -> "PartitionAudit":
        """The audit of some of its offsets, with nothing found yet."""
        return PartitionAudit(*self.place, *range_, self.read_to, former_until=self.former_until)

    def add(self, part: "PartitionAudit") -> None:
        """Add what the audit of some of its offsets has found."""
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.gaps |= part.gaps
        self.findings.extend(part.findings.to_list())

    @property
    def due(self) -> int:
        """Where the history's last committed batch ends."""
        return min(self.read_to or 0, self.end)

    def check_removed(self, removed: OffsetRange, history: OffsetArray, dead: OffsetArray) -> None:
        """Compare offsets that the topic no longer has; earlier audits say which of them had a record."""
        records = (earlier_audits.audited_records(self.audited) & OffsetRanges([removed])).to_offsets()
        balance = balance_offsets(records, history, dead, removed.end)
        self.findings.add("gone since the last audit", balance.lost[~self.accepted.mask(balance.lost)])
        self.findings.add("twice", balance.doubled)
        read = earlier_audits.audited_offsets(self.audited)
        self.findings.add("not a record of the topic", balance.foreign[read.mask(balance.foreign)])

    def check_retained(self, decoded: DecodedRecords, rows: pa.Table, letters: Sequence[DeadLetter]) -> None:
        """Compare what the topic still has with its rows in the history and its dead letters."""
        records = np.array(decoded.offsets, dtype=np.int64)
        dead = np.array([offset for offset, _ in letters], dtype=np.int64)
        balance = balance_offsets(records, offsets(rows), dead, self.due)
        self.findings.add("lost: neither in history nor in dead letters", balance.lost)
        self.findings.add("twice", balance.doubled)
        self.findings.add("not a record of the topic", balance.foreign)
        self._check_rows(decoded, rows)
        self._check_letters(decoded, letters)
        self.records += len(records)
        self.history += rows.num_rows
        self.dead_letters += len(letters)
        self.waiting += len(balance.waiting)
        self.gaps |= OffsetRanges.from_offsets(np.sort(records)).gaps(self.start, self.end)

    def _check_rows(self, decoded: DecodedRecords, rows: pa.Table) -> None:
        refused = decoded.refused
        both = sorted(set(offsets(rows).tolist()) & refused.keys()) if refused else []
        invalid, former = self._split(both)
        self.no_longer_events += len(former)
        self.findings.add("in history, but not valid", invalid, refused[invalid[0]] if invalid else "")
        wrong = differences(decoded.rows, rows)
        if wrong and wrong[0][0] < self.former_until:
            wrong = differences(decoded.rows, self._with_todays_ids(rows))
        self.findings.add("differs from the topic", [offset for offset, _ in wrong], wrong[0][1] if wrong else "")

    def _check_letters(self, decoded: DecodedRecords, letters: Sequence[DeadLetter]) -> None:
        events = set(offsets(decoded.rows).tolist()) if letters else set()
        valid, former = self._split(sorted(offset for offset, _ in letters if offset in events))
        self.now_events += len(former)
        self.findings.add("a dead letter, but valid", valid)
        kept = [(offset, found) for offset, found in letters if offset in decoded.refused or offset < self.former_until]
        torn = sorted(offset for offset, found in kept if decoded.digests.get(offset, found) != found)
        self.findings.add("a dead letter, but not the bytes that came", torn)

    def _split(self, places: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Those of the offsets that this version has read, and those that an earlier one has."""
        first = bisect_left(places, self.former_until)
        return places[first:], places[:first]

    def _with_todays_ids(self, rows: pa.Table) -> pa.Table:
        """The rows with ids as they are read now: of an earlier version's rows 71.0 becomes 71."""
        former, changed = pc.less(rows["offset"], self.former_until), pa.array(np.zeros(rows.num_rows, dtype=bool))
        for number, column in enumerate(rows.schema):
            if pa.types.is_string(column.type) and column.name != "topic":
                odd = pc.fill_null(pc.and_(former, pc.match_substring_regex(rows[column.name], _ZEROS)), False)
                digits = pc.replace_substring_regex(rows[column.name], _ZEROS, r"\1")
                rows = rows.set_column(number, column, pc.if_else(odd, digits, rows[column.name]))
                changed = pc.or_(changed, odd)
        self.other_ids += pc.sum(changed).as_py() or 0
        return rows

    def result(self, at: str) -> PartitionResult:
        """The result of the partition; `at` is when the audit began."""
        if self.read_to is not None:
            for lost in OffsetRanges.of(self.read_to, self.start) - self.accepted:
                self.findings.add("removed by retention before the history had read it", range(*lost))
        findings = self.findings.to_list()
        gaps = [[start, end] for start, end in self.gaps if start < self.due]
        new = AuditedRange(self.start, max(self.due, self.start), at, not findings, gaps)
        rests_on = earlier_audits.audited_below(self.audited, self.start)
        return PartitionResult(
            self.partition,
            self.start,
            self.end,
            self.due,
            self.records,
            self.history,
            self.dead_letters,
            self.waiting,
            without_record=self.end - self.start - self.records,
            rests_on=[replace(each, gaps=None) for each in rests_on],
            not_covered=earlier_audits.uncovered(rests_on, self.start).to_lists(),
            covered=earlier_audits.covered(self.audited, new, self.start),
            findings=findings,
            topic=self.topic,
            now_events=self.now_events,
            no_longer_events=self.no_longer_events,
            other_ids=self.other_ids,
        )


def since(rows: pa.Table, first: int) -> pa.Table:
    """The rows from an offset on."""
    return rows.filter(pc.greater_equal(rows["offset"], first))
