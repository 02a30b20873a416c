"""Rules of line events: what is valid, why the rest is not, and that batches count as a plain count does."""

from typing import Any

import pytest

from jobs.production import transforms
from jobs.production.plant import plant
from jobs.production.schema import HISTORY
from jobs.production.versions import Version, Versions
from lakehouse.events import rules
from tests.jobs.production.line import NOON, RECORDS, Event, count, counted, defect, passed, record

pytestmark = pytest.mark.spark
RULES = Versions(topic_id="", known=(Version(rules=plant().rules),))
AT = "unit_collection_pt_timestamp"


def parsed(spark: Any, *records: tuple[Any, ...]) -> Any:
    numbered = [(*one[:2], number, *one[3:]) for number, one in enumerate(records)]
    return transforms.parse_events(spark.createDataFrame(numbered, RECORDS), versions=RULES)


def valid(frame: Any) -> Any:
    return rules.valid_events(frame, HISTORY)


def test_both_kinds_are_read_with_either_form_of_time(spark: Any) -> None:
    millis = int(NOON.timestamp() * 1000)
    rows = valid(parsed(spark, record({**passed(), AT: millis}), record(defect(minutes=0, charged="PAINT")))).collect()
    assert [(row.kind, row.unit_id, row.zone_id, row.concern_id, row.zone_charged_id) for row in rows] == [
        ("pass", "u1", "BODY", None, None),
        ("defect", "u1", "BODY", "gap", "PAINT"),
    ]
    assert rows[0].event_at == rows[1].event_at


FRACTION = "a number with a fraction; a text or a whole number is wanted"
ARRAY, OBJECT = (f"an {one}; a text or a whole number is wanted" for one in ("array", "object"))
HALF = "half of a character: a \\u escape of two without the other"
NOWHERE = "zone_id: missing, and the collection point is in no zone or in several"


def without_zone(event: Event) -> Event:
    return {name: event[name] for name in event if name != "zone_id"}


LATE = f"{AT}: more than 5 minutes after the record's timestamp; a time without a zone is UTC"
BAD = [
    (record(passed(), key="unit"), "key: neither unit_collection_point nor unit_defect"),
    (record(None, key="unit_defect"), "null value"),
    (record(b""), "empty value"),
    (record(b"\xff"), "invalid UTF-8"),
    (record(b"{"), "JSON that is cut off; one whole object is wanted"),
    (record(b'{"zone_id":"BODY"}]} more'), "something after the object; one object is wanted"),
    (record(b"[]"), "an array; each event is wanted as a record of its own"),
    (record({**passed(), "qls_unit_id": None}), "qls_unit_id: missing"),
    (record({**passed(), "qls_unit_id": "a\tb"}), "qls_unit_id: not 1 to 128 printable characters"),
    (record({**passed(), "qls_unit_id": "\u3000 "}), "qls_unit_id: not 1 to 128 printable characters"),
    (record({**passed(), "qls_unit_id": "x" * 129}), "qls_unit_id: not 1 to 128 printable characters"),
    (record({**passed(), "qls_unit_id": "\ud800x"}), HALF),
    (record({**passed(), "else": ["\\\udc00"]}), HALF),
    (record({**passed(), "collection_point_id": {}}), f"collection_point_id: {OBJECT}"),
    (record({**passed(), "collection_point_id": ["B10"]}), f"collection_point_id: {ARRAY}"),
    (record(without_zone(passed())), "zone_id: missing"),
    (record(without_zone(defect()) | {"collection_point_id": "B1"}), NOWHERE),
    (record(passed(98549320.5)), f"qls_unit_id: {FRACTION}"),
    (record(passed(point=1.5)), f"collection_point_id: {FRACTION}"),
    (record(defect(concern=164.5)), f"concern_id: {FRACTION}"),
    (record({**passed(), "zone_id": 1.5}), f"zone_id: {FRACTION}"),
    (record(passed(zone="ROOF")), "zone_id: there is no such zone"),
    (record(passed(zone="line")), "zone_id: there is no such zone"),
    (record({**defect(), "concern_id": None}), "concern_id of a defect: missing"),
    (record({**defect(), "zone_charged_id": None}), "zone_charged_id of a defect: missing"),
    (record(defect(charged="ROOF")), "zone_charged_id: there is no such zone"),
    (record({**passed(), AT: None}), f"{AT}: missing"),
    (record({**passed(), AT: "noon"}), f"{AT}: a text, not a time (ISO 8601 or epoch milliseconds)"),
    (record(passed(minutes=6), after=0), LATE),
    (record({**passed(), AT: "1999-12-31T23:59:59Z"}), f"{AT}: before 2000-01-01"),
]


def test_everything_else_is_a_dead_letter_with_its_bytes_and_a_reason(spark: Any) -> None:
    frame = parsed(spark, record(passed()), *[one for one, _ in BAD])
    letters = rules.dead_letters(frame).orderBy("offset").collect()
    assert [letter.reason for letter in letters] == [reason for _, reason in BAD]
    assert [letter.value for letter in letters] == [one[5] for one, _ in BAD]
    assert valid(frame).count() == 1


def test_a_pass_may_say_what_only_a_defect_needs(spark: Any) -> None:
    event = {**passed(), "concern_id": "gap", "zone_charged_id": "nowhere"}
    row = valid(parsed(spark, record(event, key="unit_collection_point"))).collect()[0]
    assert (row.concern_id, row.zone_charged_id) == (None, None)


def test_a_batch_counts_as_a_plain_count(spark: Any) -> None:
    day = 24 * 60
    events = [
        defect("early", "PAINT", 1, "BODY"),  # before its unit
        passed("early", "PAINT", 2),
        passed("early", "BODY", -30),
        passed("twice", "BODY", 0),
        passed("twice", "BODY", 5, "B20"),
        passed("twice", "BODY", 0),  # resent
        defect("twice", "BODY", day),  # a day later
        defect("twice", "BODY", day),  # resent
        defect("twice", "BODY", day, concern="dent"),
        passed("over", "TEST", 18 * 60 - 1),  # in the last minute of the production day
        passed("over", "TEST", 18 * 60),
        defect("nowhere", "TEST", 3),  # its unit never comes
    ]
    counting = valid(parsed(spark, *[record(event) for event in events]))
    rows = transforms.totals(counting, plant()).collect()
    assert counted(rows) == count(events)
    assert {(str(row.day), row.zone_id): str(row.throughput) for row in rows} == {
        ("2026-11-22", "BODY"): "50.000",
        ("2026-11-22", "PAINT"): "0.000",
        ("2026-11-22", "TEST"): "100.000",
        ("2026-11-22", "line"): "0.000",
        ("2026-11-23", "line"): "100.000",
    }
