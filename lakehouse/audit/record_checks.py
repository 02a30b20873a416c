"""One partition of an audited topic: its records compared with their rows in history and dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit import earlier_audits
from lakehouse.audit.conservation import balance_offsets, differences, offsets
from lakehouse.audit.decode import DecodedRecords
from lakehouse.audit.results import AuditedRange, Findings, PartitionResult
from lakehouse.kafka.offset_ranges import OffsetArray, OffsetRange, OffsetRanges

DeadLetter = tuple[int, bytes]  # its offset and a digest of its content


@dataclass
class PartitionAudit:
    """The audit of one partition: its offsets on the topic, and the findings so far.

    `read_to` is None where the history has read nothing; `audited` is what earlier audits have read, `accepted` what a
    user has accepted as lost.
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

    def check_retained(
        self, slice_: OffsetRange, decoded: DecodedRecords, rows: pa.Table, letters: Sequence[DeadLetter]
    ) -> None:
        """Compare a slice of the topic with its rows in the history and its dead letters."""
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
        self.gaps |= OffsetRanges.from_offsets(np.unique(records)).gaps(*slice_)

    def _check_rows(self, decoded: DecodedRecords, rows: pa.Table) -> None:
        invalid = sorted(set(offsets(rows).tolist()) & set(decoded.refused))
        reason = decoded.refused[invalid[0]][0] if invalid else ""
        self.findings.add("in history, but not valid", invalid, reason)
        wrong = differences(decoded.rows, rows)
        self.findings.add("differs from the topic", [offset for offset, _ in wrong], wrong[0][1] if wrong else "")

    def _check_letters(self, decoded: DecodedRecords, letters: Sequence[DeadLetter]) -> None:
        valid = set(offsets(decoded.rows).tolist()) if letters else set()
        self.findings.add("a dead letter, but valid", sorted(offset for offset, _ in letters if offset in valid))
        refused = decoded.refused
        torn = sorted(offset for offset, found in letters if offset in refused and refused[offset][1] != found)
        self.findings.add("a dead letter, but not the bytes that came", torn)

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
        )


def since(rows: pa.Table, first: int) -> pa.Table:
    """The rows from an offset on."""
    return rows.filter(pc.greater_equal(rows["offset"], first))
