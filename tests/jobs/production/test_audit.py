"""The audit's decoder of line events: the forms of ids and times that it takes, alone and in the cases of senders."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from jobs.production import audit
from jobs.production.events import TIME
from lakehouse.audit.contract import Decoded
from lakehouse.kafka.reader import Record
from tests.cases.sent import MILLIS, NOON, messages
from tests.jobs.production.line import defect, passed

pytestmark = pytest.mark.usefixtures("lake")
COLUMNS = {"qls_unit_id": "unit_id", "collection_point_id": "collection_point_id", "concern_id": "concern_id"}
IDS = {
    **dict.fromkeys(["98549320", "98549320.0", "9.854932E7", '"98549320"', '"98549320.00"'], "98549320"),
    **{"-0": "0", '"0071"': "0071", '"7e1"': "7e1", '"\\ud83d\\ude00"': "\U0001f600", '"[1.0]"': "[1.0]"},
    **dict.fromkeys(["71.5", "true", "null", '""', '" "', "[1]", "{}", '"\\ud800"', '"\\u0000"', "1e400"]),
}
TIMES = {
    **dict.fromkeys(['"2026-11-22T12:00:00Z"', '"20261122T120000+0000"', "1795348800000"], NOON),
    **{'"1795348800000.25"': NOON + timedelta(microseconds=250)},
    **dict.fromkeys(['"2026-11-22"', "1795348800", "true", "null", '""', '"2026-11-22T12:00:00+01:"']),
}


def decode(sent: Sequence[tuple[bytes | None, bytes | None]]) -> Decoded:
    return audit.decode(
        ("production", 0), [Record(n, MILLIS + 1000, key, value) for n, (key, value) in enumerate(sent)]
    )


def found(name: str, raws: Sequence[str], column: str) -> dict[str, Any]:
    """What is stored of each raw value of a field; None for no event."""
    template = json.dumps({**defect(minutes=0), name: "\u0001"})
    decoded = decode([(b"unit_defect", template.replace('"\\u0001"', raw).encode()) for raw in raws])
    rows = {row["offset"]: row[column] for row in decoded.rows.to_pylist()}
    assert len(rows) + len(decoded.refused) == len(raws)
    return {raw: rows.get(number) for number, raw in enumerate(raws)}


@pytest.mark.parametrize("name", COLUMNS)
def test_ids_are_taken_in_these_forms_and_no_others(name: str) -> None:
    assert found(name, [*IDS], COLUMNS[name]) == IDS


def test_times_are_taken_in_these_forms_and_no_others() -> None:
    assert found(TIME, [*TIMES], "event_at") == TIMES


def test_a_field_that_stands_twice_is_the_last_one() -> None:
    value = json.dumps(defect(minutes=0))
    twice = '{"qls_unit_id": [true], ' + value[1:-1] + ', "zone_id": "BODY"}'
    assert decode([(b"unit_defect", twice.encode())]).refused == {}
    assert decode([(b"unit_defect", f'{value[:-1]}, "qls_unit_id": null}}'.encode())]).refused == {0: "qls_unit_id"}
    assert decode([(b"unit_defect", f'{value[:-1]}, "x": "\\ud800"}}'.encode())]).refused == {0: "half of a character"}


def test_what_only_a_defect_has_must_be_an_id_in_a_pass_too() -> None:
    raws = ["[1]", "{}", "true", "1.5", "1", "1.0", '""', "null", '"gap"']
    for name in ("concern_id", "zone_charged_id"):
        sent = [f'{json.dumps(passed())[:-1]}, "{name}": {raw}}}'.encode() for raw in raws]
        decoded = decode([(b"unit_collection_point", value) for value in sent])
        assert sorted(decoded.refused) == [0, 1, 2, 3]
        assert decoded.rows[name].to_pylist() == [None] * 5


def test_the_cases_of_other_senders() -> None:
    floats, times = (
        decode(messages("07-float-numbers/production.jsonl")),
        decode(messages("11-time-forms/production.jsonl")),
    )
    assert floats.refused == {}
    assert floats.rows["unit_id"].to_pylist() == ["98549320", "98549320", "98549320", "88549320", "78549320"]
    assert sorted(times.refused) == [11, 13, 14, 15, 16, 18]
    at = times.rows["event_at"].to_pylist()
    assert {*at[:12]} == {NOON, NOON + timedelta(microseconds=250)}
    assert at[12] == NOON - timedelta(hours=7)
