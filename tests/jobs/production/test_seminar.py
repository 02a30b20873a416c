"""A plant's own messages, with a file that describes the plant: the same in Spark's rules, PostgreSQL and the audit."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs.production import audit, transforms
from jobs.production.plant import Plant, plant, read_plant
from jobs.production.schema import EVENT_COLUMNS, HISTORY
from jobs.production.totals import TotalsSink
from jobs.production.versions import Version, Versions
from lakehouse.events import rules
from lakehouse.kafka.reader import Record
from tests.jobs.production.line import NOON, RECORDS, SEMINAR, counted, record, seminar
from tests.jobs.production.test_totals import batch, rows_of

pytestmark = pytest.mark.spark
FIELDS = ["unit_id", "zone_id", "collection_point_id", "concern_id", "zone_charged_id"]
RIGHT = [
    ("1 pass, zone 17", ("91000120", "17", "45", None, None)),
    ("2 pass, zone 72", ("91000120", "72", "84", None, None)),
    ("3 concern, key unit_concern, no zone_id", ("91000120", "72", "84", "203", "58")),
    ("4 the same under unit_defect", ("91000120", "72", "84", "203", "58")),
    ("5 under unit_defect, our zones, no zone_id", ("91000120", "BODY", "B10", "203", "BODY")),
    ("6 concern in words", ("U7", "BODY", "B10", "missing part", "BODY")),
    ("7 concern with brackets and #", ("U7", "BODY", "B10", "Scratch #3 (LH door)", "BODY")),
    ("8 concern in Spanish", ("U7", "BODY", "B10", "raya-puerta-izquierda-ñ", "BODY")),
    ("9 serial number with a blank", ("SN 0007", "BODY", "B10", None, None)),
    ("10 serial number with #", ("L1#7", "BODY", "B10", None, None)),
    ("12 key in JSON quotes (json key_serializer)", ("U7", "BODY", "B10", "gap", "BODY")),
    ("13 control: a pass", ("U7", "BODY", "B10", None, None)),
    ("14 control: a defect", ("U7", "BODY", "B10", "gap", "BODY")),
]


@pytest.fixture
def theirs(conf: Path) -> Plant:
    """The plant that the case's file describes."""
    conf.write_text((SEMINAR / "production.toml").read_text())
    return plant()


def first(of: Plant) -> Versions:
    return Versions(topic_id="", known=(Version(rules=of.rules),))


def frame(spark: Any, messages: list[tuple[bytes, bytes]]) -> Any:
    rows = [
        ("production", 0, place, NOON, bytearray(key), bytearray(value)) for place, (key, value) in enumerate(messages)
    ]
    return spark.createDataFrame(rows, RECORDS)


def audited(messages: list[tuple[bytes, bytes]]) -> Any:
    millis = int(NOON.timestamp() * 1000)
    return audit.decode(
        ("production", 0), [Record(place, millis, key, value) for place, (key, value) in enumerate(messages)]
    )


def test_a_plants_own_messages_are_counted_with_its_file(spark: Any, postgres_lake: str, theirs: Plant) -> None:
    sent = seminar(NOON, "7")
    messages = [(key, value) for _, key, value in sent]
    parsed = transforms.parse_events(frame(spark, messages), versions=first(theirs)).cache()
    valid = rules.valid_events(parsed, HISTORY)
    rows = valid.orderBy("offset").toArrow()
    found = [(sent[row["offset"]][0], tuple(row[name] for name in FIELDS)) for row in rows.to_pylist()]
    assert found == RIGHT
    letters = rules.dead_letters(parsed).select("offset", "reason").collect()
    assert [(sent[row.offset][0], row.reason) for row in letters] == [
        ("11 zone in lower case", "zone_id: there is no such zone")
    ]
    decoded = audited(messages)
    assert decoded.rows.to_pylist() == rows.to_pylist()
    TotalsSink()._count(rows.select(list(EVENT_COLUMNS)), batch(0, "g"))
    right = {  # 09:10 UTC is 05:10 in Detroit: the day before, which ends at 05:30
        ("2020-05-26", "17"): (1, 0, 0, 0),
        ("2020-05-26", "72"): (1, 1, 0, 1),
        ("2020-05-26", "line"): (1, 2, 2, 1),
        ("2026-11-22", "BODY"): (3, 4, 4, 1),
        ("2026-11-22", "line"): (3, 4, 4, 1),
    }
    assert counted(rows_of(postgres_lake, "totals")) == right
    assert counted(transforms.totals(valid, theirs).collect()) == right
    with psycopg.connect(postgres_lake) as connection:
        comment = connection.execute("SELECT col_description('production.totals'::regclass, 1)").fetchone()
    assert comment == ("production day, which begins at 05:30 America/Detroit",)


def message(event: dict[str, Any], key: str = "unit_collection_point") -> tuple[bytes, bytes]:
    one = record(event, key)
    return bytes(one[4]), bytes(one[5])


PASS = {"collection_point_id": "B10", "zone_id": "BODY", "unit_collection_pt_timestamp": NOON.isoformat()}
DEFECT = {**PASS, "qls_unit_id": "u1", "zone_charged_id": "58"}
WRITTEN = [  # parts of JSON texts that Spark reads into a text which is another one's too
    *(rf'"\u{one}"' for one in ("0041", "d800", "dc00", "d83d\\ude00", "d83d\\ude00\\ude00", "d800\\d83d\\ude00")),
    *(r'"\\ud800"', r'"\\\ud800"', r'"\ud83d\\\ude00"', r'"?"', r'"[1]"', r'"{}"', "[1]", "{}", "[]", "true", "null"),
    *("17", "-1", '"x"', '" x "', '" "', '"\u200b"', '"\u202e"', '"a\u2028"', '"\u00a0\u3000"', '"\U0001f600"', '""'),
    *(
        f'"{text}"'
        for text in ("\U0001f600" * 128, "\U0001f600" * 129, "\u0301" * 128, "\U000e0001", "\u0378", "<b>", "'")
    ),
]


def test_spark_and_the_audit_take_the_same_texts(spark: Any, theirs: Plant) -> None:
    texts = [chr(point) for point in (*range(0x3100), *range(0xF8F0, 0x10020))]
    messages = [message({**PASS, "qls_unit_id": f"u{text}"}) for text in texts]
    messages += [message({**PASS, "qls_unit_id": text}) for text in texts]
    plain = json.dumps(PASS)[:-1]
    messages += [(b"unit_collection_point", f'{plain}, "qls_unit_id": {text}}}'.encode()) for text in WRITTEN]
    messages += [
        (b"unit_collection_point", f'{plain}, "qls_unit_id": "u", "else": {text}}}'.encode()) for text in WRITTEN
    ]
    for name in ("zone_id", "concern_id", "zone_charged_id", "collection_point_id"):
        rest = json.dumps({part: DEFECT[part] for part in DEFECT if part != name} | {"concern_id": "c"})[:-1]
        messages += [(b'"unit_concern"', f'{rest}, "{name}": {text}}}'.encode()) for text in WRITTEN]
    messages += [message({**PASS, "qls_unit_id": "u"}, key) for key in ('"unit_defect', "unit_defect ", '""', "", "é")]
    valid = transforms.valid_events(frame(spark, messages), first(theirs))
    rows, decoded = valid.orderBy("offset").toArrow().to_pylist(), audited(messages).rows.to_pylist()
    assert [messages[row["offset"]] for row in rows] == [messages[row["offset"]] for row in decoded]
    assert rows == decoded
    assert len(rows) > len(messages) / 2


def test_records_keep_the_rules_under_which_they_were_read(spark: Any, theirs: Plant, conf: Path) -> None:
    conf.write_text(conf.read_text().replace("BODY", "SHELL").replace('"unit_concern"', '"concern"'))
    before, later = theirs.rules, plant_of(conf).rules
    both = Versions(topic_id="", known=(Version(rules=before), Version(rules=later, since={0: 2})))
    event = {**PASS, "qls_unit_id": "u", "concern_id": "gap", "zone_charged_id": "58"}
    missing = {name: value for name, value in event.items() if name != "zone_id"}
    messages = [
        message(missing, "unit_concern"),
        message(event),
        message(missing, "unit_concern"),
        message(missing, "concern"),
        message(event),
    ]
    rows = transforms.valid_events(frame(spark, messages), both).orderBy("offset").collect()
    assert [(row.offset, row.zone_id) for row in rows] == [(0, "BODY"), (1, "BODY"), (3, "SHELL")]


def plant_of(file: Path) -> Plant:
    read_plant.cache_clear()
    return read_plant(file)
