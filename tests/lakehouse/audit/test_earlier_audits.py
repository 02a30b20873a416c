"""What later audits rest on: which offsets earlier ones have read, and which of those were records."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.audit import earlier_audits
from lakehouse.audit.results import AuditedRange
from lakehouse.kafka.offset_ranges import OffsetRanges


@settings(deadline=None)
@given(st.sets(st.integers(0, 500), min_size=1), st.integers(0, 501))
def test_gaps_that_were_found_slice_by_slice_give_back_the_records(records: set[int], cut: int) -> None:
    every = np.array(sorted(records))
    slices = [(every[every < cut], 0, cut), (every[every >= cut], cut, 501)]
    gaps = OffsetRanges()
    for offsets, start, end in slices:
        gaps |= OffsetRanges.from_offsets(offsets).gaps(start, end)
    audited = earlier_audits.audited_records([AuditedRange(0, 501, gaps=gaps.to_lists())])
    assert audited.to_offsets().tolist() == sorted(records)
    part = audited & OffsetRanges.of(100, 300)
    assert part.to_offsets().tolist() == sorted(at for at in records if 100 <= at < 300)


def test_what_retention_removed_rests_on_the_audits_that_read_it() -> None:
    first = earlier_audits.covered([], AuditedRange(0, 50, "mon"), 0)
    second = earlier_audits.covered(first, AuditedRange(30, 90, "tue"), 30)
    third = earlier_audits.covered(second, AuditedRange(120, 200, "thu"), 120)
    assert third == [AuditedRange(0, 30, "mon"), AuditedRange(30, 90, "tue"), AuditedRange(120, 200, "thu")]
    assert earlier_audits.uncovered(third, 120) == OffsetRanges.of(90, 120)
    assert earlier_audits.uncovered([], 5) == OffsetRanges.of(0, 5)
    assert not earlier_audits.uncovered(second, 30)


def test_an_audit_of_a_partition_with_too_many_gaps_is_not_rested_on() -> None:
    gaps = [[2 * number, 2 * number + 1] for number in range(earlier_audits.MOST_GAPS + 1)]
    earlier = [AuditedRange(0, 5, "mon")]
    assert earlier_audits.covered(earlier, AuditedRange(3, 90_000, "tue", gaps=gaps), 3) == [AuditedRange(0, 3, "mon")]
