"""Line events as other programs send them, and what becomes of them by the pipeline and by the audit."""

import json
from functools import partial
from typing import Any

import pytest

from jobs.production import audit, transforms
from jobs.production.plant import plant
from jobs.production.schema import HISTORY
from jobs.production.versions import Version, Versions
from tests.cases.forms import IDS, NO_IDS, forms
from tests.cases.sent import NOON, messages, verdicts
from tests.jobs.production.line import defect, passed

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("lake")]
PLANT = Versions(topic_id="", known=(Version(rules=plant().rules),))
READ = partial(transforms.parse_events, versions=PLANT)
PASS = b"unit_collection_point"


def test_cases_and_forms_end_as_events_or_with_their_reason(spark: Any) -> None:
    floats, strange = messages("07-float-numbers/production.jsonl"), forms(passed())
    marked = [(PASS, b"\xef\xbb\xbf" + json.dumps(passed()).encode())]
    found = verdicts(spark, READ, HISTORY, audit, [*floats, *marked, *((PASS, value) for value, _reason in strange)])
    assert found[0]["unit_id"] == "98549320"
    assert [event["unit_id"] for event in found[1:3]] == ["98549320"] * 2
    assert found[2]["concern_id"] == "164"
    assert [event["event_at"] for event in found[3:5]] == [NOON.replace(microsecond=250), NOON]
    assert found[5]["unit_id"] == "u1"
    assert found[6:] == [reason for _value, reason in strange]


def test_an_id_is_what_was_sent_or_none(spark: Any) -> None:
    names = {"qls_unit_id": "unit_id", "collection_point_id": "collection_point_id", "concern_id": "concern_id"}
    given = []
    for name in names:
        template = json.dumps({**defect(minutes=0), name: "\u0001"})
        given += [(b"unit_defect", template.replace('"\\u0001"', raw).encode()) for raw in (*NO_IDS, *IDS)]
    found = iter(verdicts(spark, READ, HISTORY, audit, given))
    for name, column in names.items():
        for raw, seen in NO_IDS.items():
            assert next(found) == f"{name}: {seen}; a text or a whole number is wanted", raw
        for raw, digits in IDS.items():
            assert next(found)[column] == digits, raw
