"""The comparison of a topic with its tables: any lost, doubled or moved coordinate is found; nothing else is."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.audit.conservation import balance_offsets, differences
from lakehouse.audit.results import Findings
from lakehouse.kafka.offset_ranges import OffsetArray, OffsetRange
from lakehouse.kafka.reader import slices

OFFSETS = st.lists(st.integers(0, 500), min_size=1, max_size=200, unique=True)


def ints(values: object) -> OffsetArray:
    return np.array(sorted(values), dtype=np.int64)  # type: ignore[call-overload, no-any-return]


@st.composite
def partitions(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], int]:
    """Records of a range, those in history and in dead letters, and where the last committed batch ends."""
    records = draw(OFFSETS)
    bad = [at for at in records if draw(st.booleans())]
    read_to = draw(st.integers(0, 501))
    kept = [at for at in records if at not in bad and at < read_to]
    return records, kept, [at for at in bad if at < read_to], read_to


@settings(deadline=None)
@given(partitions())
def test_a_whole_partition_is_clean_and_the_rest_is_waiting(case: tuple[list[int], list[int], list[int], int]) -> None:
    records, kept, bad, read_to = case
    balance = balance_offsets(ints(records), ints(kept), ints(bad), read_to)
    assert [len(off) for off in balance[:3]] == [0, 0, 0]
    assert balance.waiting.tolist() == sorted(at for at in records if at >= read_to)


@settings(deadline=None)
@given(partitions(), st.randoms(use_true_random=False))
def test_a_dropped_doubled_or_moved_coordinate_is_found(
    case: tuple[list[int], list[int], list[int], int], draw: object
) -> None:
    records, kept, bad, read_to = case
    if not (kept or bad):
        return
    which = kept or bad
    at = which[0]
    rest = [one for one in which if one != at]
    both = {False: (rest, bad), True: (kept, rest)}[which is bad]
    dropped = balance_offsets(ints(records), ints(both[0]), ints(both[1]), read_to)
    assert (dropped.lost.tolist(), dropped.doubled.tolist(), dropped.foreign.tolist()) == ([at], [], [])
    for doubled in (balance_offsets(ints(records), ints([*kept, at]), ints(bad), read_to),
                    balance_offsets(ints(records), ints(kept), ints([*bad, at]), read_to)):  # fmt: skip
        assert (doubled.lost.tolist(), doubled.doubled.tolist()) == ([], [at])
    moved = balance_offsets(ints(records), ints([*both[0], 1000]), ints(both[1]), read_to)
    assert (moved.lost.tolist(), moved.foreign.tolist()) == ([at], [1000])
    strange = balance_offsets(ints(records), ints(kept), ints([*bad, 1000]), read_to)
    assert (strange.lost.tolist(), strange.foreign.tolist()) == ([], [1000])


def rows(*values: tuple[int, int | None]) -> pa.Table:
    return pa.table({"offset": [at for at, _ in values], "price": pa.array([price for _, price in values], pa.int64())})


def test_a_changed_value_is_named_with_both_sides() -> None:
    topic = rows((3, 10), (5, None), (8, 30))
    assert differences(topic, rows((8, 30), (5, None), (3, 10))) == []
    found = differences(topic, rows((8, 31), (5, 1), (3, None), (4, 9)))
    assert [at for at, _ in found] == [3, 5, 8]
    assert found[2][1] == "price: 31, the topic says 30"
    assert found[0][1] == "price: null, the topic says 10"
    assert differences(topic.slice(0, 0), rows((1, 1))) == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_slices_join_up_to_the_whole(size: int) -> None:
    whole = {0: OffsetRange(3, 100), 1: OffsetRange(0, 0), 5: OffsetRange(10, 11)}
    parts = list(slices(whole, size))
    for partition, (start, end) in whole.items():
        at = start
        for part in parts:
            assert part[partition][0] == at
            at = part[partition][1]
        assert at == end
    assert max(sum(end - start for start, end in part.values()) for part in parts) <= max(size + 3, 3)


def test_the_first_twenty_places_are_named_and_the_rest_counted() -> None:
    findings = Findings()
    findings.add("lost", np.arange(15))
    findings.add("lost", range(100, 130), "later")
    findings.add("none", [])
    (finding,) = findings.to_list()
    assert (finding.what, finding.count, len(finding.places), finding.places[-1]) == ("lost", 45, 20, 104)
