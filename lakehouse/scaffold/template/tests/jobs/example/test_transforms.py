"""The domain's rules over a few telling records each."""

from typing import Any

import pytest
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from jobs.example import transforms
from jobs.example.schema import HISTORY, TOTAL_COLUMNS
from lakehouse.events import rules
from lakehouse.spark.session import collect
from tests.jobs.example.records import BAD, GOOD, NOON, RECORDS, at, record

pytestmark = pytest.mark.spark


def parse(spark: SparkSession, *sent: Any) -> DataFrame:
    """What was sent as records at offsets 0, 1, …, parsed."""
    return transforms.parse_events(spark.createDataFrame([record(one, n) for n, one in enumerate(sent)], RECORDS))


def test_good_events_are_valid(spark: SparkSession) -> None:
    parsed = parse(spark, *GOOD).cache()
    assert collect(rules.dead_letters(parsed).select("offset", "reason")) == []
    assert rules.valid_events(parsed, HISTORY).count() == len(GOOD)


def test_a_bad_record_has_its_reason_and_its_bytes(spark: SparkSession) -> None:
    rows = collect(rules.dead_letters(parse(spark, *[sent for sent, _ in BAD])).orderBy("offset"))
    assert [row["reason"] for row in rows] == [reason for _, reason in BAD]
    assert [row["value"] for row in rows] == [record(sent, 0)[-1] for sent, _ in BAD]


def test_totals_are_per_window_and_id(spark: SparkSession) -> None:
    sent = [(0, "a", 1), (59.999, "a", 2), (60, "a", 5), (0, "b", 7)]
    parsed = parse(spark, *[{"happened_at": at(s), "id": i, "quantity": q} for s, i, q in sent])
    noon, later = NOON.isoformat(), at(60)
    ddl = ", ".join(f"{name} {kind}" for name, kind in TOTAL_COLUMNS.items())
    wanted = [(noon, later, "a", 2, 3, 1.5), (later, at(120), "a", 1, 5, 5.0), (noon, later, "b", 1, 7, 7.0)]
    texts = spark.createDataFrame(wanted, ddl.replace("TIMESTAMP", "STRING"))
    expected = texts.selectExpr(*[f"CAST({name} AS {kind}) AS {name}" for name, kind in TOTAL_COLUMNS.items()])
    got = transforms.totals(rules.valid_events(parsed, HISTORY), "1 minute")
    assert_df_equality(got, expected, ignore_row_order=True, ignore_nullable=True)
