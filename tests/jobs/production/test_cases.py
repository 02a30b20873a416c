"""Line events as other programs send them, and what becomes of them by the pipeline and by the audit."""

import json
from functools import partial
from typing import Any

import pytest

from jobs.production import audit, transforms
from jobs.production.plant import plant
from jobs.production.versions import Version, Versions
from tests.cases.forms import IDS, NO_IDS, forms
from tests.cases.sent import messages, verdicts
from tests.jobs.production.line import defect, passed

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("lake")]
PLANT = Versions(topic_id="", known=(Version(rules=plant().rules),))
RULES = (partial(transforms.parse_events, rules=PLANT), transforms.valid_events, transforms.dead_letters)
FRACTION = "a number with a fraction or an exponent; a text or a whole number is wanted"
PASS = b"unit_collection_point"


def test_cases_and_forms_end_as_events_or_with_their_reason(spark: Any) -> None:
    floats, strange = messages("07-float-numbers/production.jsonl"), forms(passed())
    marked = [(PASS, b"\xef\xbb\xbf" + json.dumps(passed()).encode())]
    found = verdicts(spark, RULES, audit, [*floats, *marked, *((PASS, value) for value, _reason in strange)])
    assert found[0]["unit_id"] == "98549320"
    assert found[1:3] == [f"qls_unit_id: {FRACTION}"] * 2
    assert [reason.split(":")[0] for reason in found[3:5]] == ["unit_collection_pt_timestamp"] * 2
    assert found[5]["unit_id"] == "u1"
    assert found[6:] == [reason for _value, reason in strange]


def test_an_id_is_what_was_sent_or_none(spark: Any) -> None:
    names = {"qls_unit_id": "unit_id", "collection_point_id": "collection_point_id", "concern_id": "concern_id"}
    given = []
    for name in names:
        template = json.dumps({**defect(minutes=0), name: "\u0001"})
        given += [(b"unit_defect", template.replace('"\\u0001"', raw).encode()) for raw in (*NO_IDS, *IDS)]
    found = iter(verdicts(spark, RULES, audit, given))
    for name, column in names.items():
        for raw in NO_IDS:
            assert str(next(found)).startswith(f"{name}: a{'n array' if raw[0] in '[{' else ' number'}"), raw
        for raw in IDS:
            assert next(found)[column] == ("0" if raw == "-0" else raw.strip('"')), raw
