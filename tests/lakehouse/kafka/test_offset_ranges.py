"""Ranges of offsets behave as plain sets of offsets do."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.kafka.offset_ranges import OffsetRange, OffsetRanges

BOUND = st.integers(0, 60)
PAIRS = st.lists(st.tuples(BOUND, BOUND), max_size=12)


def offsets_of(pairs: list[tuple[int, int]]) -> set[int]:
    return {offset for start, end in pairs for offset in range(start, end)}


def as_set(ranges: OffsetRanges) -> set[int]:
    """The offsets, after a look at the form: sorted, none empty, none that touch."""
    edges = [edge for each in ranges for edge in each]
    assert edges == sorted(set(edges))
    return offsets_of([tuple(each) for each in ranges])  # type: ignore[misc]


@settings(deadline=None)
@given(PAIRS, PAIRS)
def test_union_intersection_and_difference_are_those_of_sets(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    left, right = OffsetRanges(one), OffsetRanges(other)
    first, second = offsets_of(one), offsets_of(other)
    assert as_set(left) == first
    assert as_set(left | right) == first | second
    assert as_set(left & right) == first & second
    assert as_set(left - right) == first - second
    assert (left == right) == (first == second)
    assert hash(left | right) == hash(right | left)


@settings(deadline=None)
@given(PAIRS, BOUND, BOUND)
def test_length_membership_and_gaps_are_those_of_sets(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    ranges, offsets = OffsetRanges(pairs), offsets_of(pairs)
    assert (ranges.length, bool(ranges)) == (len(offsets), bool(offsets))
    assert (start in ranges) == (start in offsets)
    assert as_set(ranges.gaps(start, end)) == set(range(start, end)) - offsets
    every = np.arange(60, -1, -1)
    assert ranges.mask(every).tolist() == [offset in offsets for offset in every.tolist()]


@settings(deadline=None)
@given(PAIRS)
def test_offsets_and_lists_lead_back_to_the_ranges(pairs: list[tuple[int, int]]) -> None:
    ranges = OffsetRanges(pairs)
    assert ranges.to_offsets().tolist() == sorted(offsets_of(pairs))
    assert OffsetRanges.from_offsets(ranges.to_offsets()) == ranges
    assert OffsetRanges(ranges.to_lists()) == ranges


def test_a_range_reads_as_a_sentence_has_it() -> None:
    assert str(OffsetRange(1_000, 1_004)) == "1,000 to 1,003 (4 records)"
    assert OffsetRange(4, 4).length == 0
