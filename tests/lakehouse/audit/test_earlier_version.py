"""What an earlier version read by other rules is no error of today's: it is counted, and only below its last offset."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.audit.decode import DecodedRecords
from lakehouse.audit.record_checks import PartitionAudit
from lakehouse.cli import audit as command
from lakehouse.contract import standard_tables
from lakehouse.kafka.offset_ranges import OffsetRange

HISTORY = standard_tables.history("line", {"unit": "STRING", "n": "BIGINT"}, ("unit",), "events")
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
INVALID, LETTER, DIFFERS = "in history, but not valid", "a dead letter, but valid", "differs from the topic"


def rows(*values: tuple[int, str, int]) -> pa.Table:
    place = {"topic": "line", "partition": 0, "recorded_at": AT}
    made = [{**place, "offset": offset, "unit": unit, "n": n} for offset, unit, n in values]
    return pa.Table.from_pylist(made, schema=HISTORY.arrow_schema)


def audited(former_until: int, stored: pa.Table, letter: bytes = b"d") -> PartitionAudit:
    """Offsets 0 to 4: an event, one that an earlier version refused, one it alone took, an id with zeros, an event."""
    decoded = rows((0, "a", 0), (1, "b", 1), (3, "71", 3), (4, "c", 4))
    part = PartitionAudit("line", 0, 0, 5, 5, former_until=former_until)
    part.check_retained(DecodedRecords(decoded, {2: "unit"}, {1: b"d"}, [0, 1, 2, 3, 4]), stored, [(1, letter)])
    return part


def found(part: PartitionAudit) -> dict[str, list[Any]]:
    return {finding.what: finding.places for finding in part.findings.to_list()}


STORED = rows((0, "a", 0), (2, "true", 2), (3, "71.00", 3), (4, "c", 4))


def test_what_this_version_has_read_must_be_as_it_reads() -> None:
    assert found(audited(0, STORED)) == {INVALID: [2], LETTER: [1], DIFFERS: [3]}
    assert found(audited(2, STORED)) == {INVALID: [2], DIFFERS: [3]}


def test_what_an_earlier_version_has_read_is_counted() -> None:
    part = audited(4, STORED)
    assert found(part) == {}
    assert (part.now_events, part.no_longer_events, part.other_ids) == (1, 1, 1)
    lines = list(command._former("line 0", part.result("now"), "line"))
    assert [line.split(" ")[2] for line in lines] == ["1", "1", "1"]
    assert "`lake dead-letters redrive line`" in lines[0]
    assert list(command._former("line 0", audited(0, rows()).result("now"), "line")) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (rows((0, "a", 0), (2, "true", 2), (3, "71.00", 30), (4, "c", 4)), {DIFFERS: [3]}),
        (rows((0, "a", 0), (2, "true", 2), (3, "72.00", 3), (4, "c", 4)), {DIFFERS: [3]}),
        (rows((0, "A", 0), (2, "true", 2), (3, "71.00", 3), (4, "c", 4)), {DIFFERS: [0]}),
        (rows((0, "a", 0), (3, "71.00", 3), (4, "c", 4)), {"lost: neither in history nor in dead letters": [2]}),
    ],
)
def test_damage_to_what_an_earlier_version_wrote_is_found(changed: pa.Table, expected: dict[str, Any]) -> None:
    assert found(audited(5, changed)) == expected


def test_a_dead_letter_of_an_earlier_version_has_the_bytes_that_came() -> None:
    assert found(audited(5, STORED, b"x")) == {"a dead letter, but not the bytes that came": [1]}


def test_the_parts_of_a_partition_add_up() -> None:
    whole = PartitionAudit("line", 0, 0, 5, 5, former_until=3)
    part = whole.part(OffsetRange(0, 5))
    part.check_retained(DecodedRecords(rows((0, "a", 0)), {}, {1: b"d"}, [0, 1]), rows((0, "b", 0)), [(1, b"d")])
    for _ in range(2):
        whole.add(part)
    assert (whole.records, whole.history, whole.dead_letters) == (4, 2, 2)
    assert found(whole)[DIFFERS] == [0, 0]
    assert whole.gaps.to_lists() == [[2, 5]]
