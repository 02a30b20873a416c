"""The audits' JSON reader against Spark's: each value is an object for both or for neither, each text a time."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.audit import json_records
from lakehouse.kafka.reader import Record
from lakehouse.spark.session import collect
from lakehouse.streaming import json_values

pytestmark = pytest.mark.spark
DIGITS = "1" * 1000
VALUES = [
    '{"id": "a"}',
    '{"id": 007}',
    '{"id": 1} {"id": 2}',
    '{"id": 1}],"event":[{"id": 2}',
    '["id"]',
    '"id"',
    '{"id": NaN}',
    "{'id': 1}",
    '{"id": "a", "id": "b"}',
    f'{{"id": {DIGITS}}}',
    f'{{"id": {DIGITS}1}}',
    f'{{"other": -{DIGITS}}}',
    f'{{"other": -{DIGITS}1}}',
    f'{{"other": 0.{DIGITS[1:]}}}',
    f'{{"other": 0.{DIGITS}}}',
    f'{{"other": 0.{DIGITS}1}}',
    f'{{"other": {DIGITS[1:]}.1}}',
    f'{{"other": {DIGITS}.1}}',
    f'{{"other": 1e{DIGITS[1:]}}}',
    f'{{"other": 1e{DIGITS}}}',
    f'{{"other": "{DIGITS}1"}}',
    json.dumps({"x" * 50_000: 1}),
    json.dumps({"x" * 50_001: 1}),
    json.dumps({"other": {"x" * 50_001: 1}}),
    *('{"id": ' + "[" * deep + "]" * deep + "}" for deep in (900, 980, 996, 997, 998, 1100)),
    '{"id": "' + "[" * 2000 + '"}',
    '{"id": "\\"[' + "[" * 2000 + '"}',
]
TIMES = [
    "2026-11-22T12:00:00Z",
    "2026-11-22 12:00",
    "2026-11-22T12:00:00.123456789+05:45",
    "2026-11-22T12:00:00+18:00",
    "2026-11-22T12:00:00+18:01",
    "2026-11-22T12:00:00-23:59",
    "9999-12-31T23:59:59-01:00",
    "0001-01-01T00:00:00+01:00",
    "0000-01-01T00:00:00Z",
    "2026-02-30T12:00:00Z",
    "2026-11-22T24:00:00Z",
    "1795348800000",
    "-1",
    "noon",
    "",
]
LAST = datetime(2200, 1, 1, tzinfo=UTC)


def is_object(value: str) -> bool:
    try:
        json_records.read_object(Record(0, 0, None, value.encode()))
    except json_records.NoEvent:
        return False
    return True


def usual_time(text: str) -> datetime | None:
    """The time, None where it is none or so far away that every domain refuses it."""
    try:
        moment = json_records.time_of(text)
    except json_records.NoEvent:
        return None
    return moment if datetime(1900, 1, 1, tzinfo=UTC) < moment < LAST else None


def test_both_take_the_same_objects(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(n, value.encode()) for n, value in enumerate(VALUES)], "n int, value binary")
    read = frame.select("n", json_values.read_object("id string, other string").isNotNull().alias("ok"))
    theirs = {row["n"]: row["ok"] for row in collect(read)}
    wrong = [VALUES[n][:60] for n, ok in theirs.items() if ok != is_object(VALUES[n])]
    assert not wrong
    assert {True, False} == {*theirs.values()}


def test_both_take_the_same_times(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(n, text) for n, text in enumerate(TIMES)], "n int, raw string")
    read = frame.withColumn("at", json_values.time_of(F.col("raw")))
    near = F.when(F.col("at").between("1900-01-01", "2200-01-01"), F.col("at"))
    theirs: dict[int, Any] = {row["n"]: row["at"] for row in collect(read.select("n", near.alias("at")))}
    assert theirs == {n: usual_time(text) for n, text in enumerate(TIMES)}
