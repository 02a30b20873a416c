"""A real-time query as it is declared: what it may read, and what its plan has to keep."""

from typing import Any

import pytest

from lakehouse.contract.runs import real_time_master
from lakehouse.contract.topics import Topic
from lakehouse.errors import UsageError
from lakehouse.kafka.source_headers import Source, source_of
from lakehouse.streaming import real_time_query
from lakehouse.streaming.real_time_query import COLUMNS, RealTimeQuery

OURS = Topic("asked", 3, "", encoded_by_us=True)


def query(plan: Any, requests: Topic = OURS) -> RealTimeQuery:
    return RealTimeQuery("echo", "texts", requests, Topic("answered", 3, ""), plan)


def test_only_topics_that_our_own_encoder_wrote() -> None:
    with pytest.raises(UsageError, match=r"echo\.texts cannot read topic open: others may write to it"):
        query(lambda records: records, Topic("open", 1, ""))


def test_master_has_more_slots_than_partitions() -> None:
    assert real_time_master(OURS) == "local[5]"


def test_headers_that_name_no_source() -> None:
    assert source_of(None) is None
    assert source_of([("source.topic", b"t")]) is None
    assert source_of([(f"source.{name}", b"x") for name in ("topic", "partition", "offset", "time")]) is None


@pytest.mark.spark
def test_answers_name_their_request(spark: Any) -> None:
    records = _records(spark)
    rows = real_time_query.answers(query(lambda frame: frame), records).toArrow().to_pylist()
    assert [(row["key"], row["value"]) for row in rows] == [(b"k", b"v")]
    headers = [(header["key"], header["value"]) for header in rows[0]["headers"]]
    assert source_of(headers) == Source("asked", 1, 7, 1_772_323_200_123)


@pytest.mark.spark
def test_a_plan_that_drops_a_column_is_refused(spark: Any) -> None:
    with pytest.raises(UsageError, match="no column offset, timestamp left"):
        real_time_query.answers(query(lambda frame: frame.drop("offset", "timestamp")), _records(spark))


def _records(spark: Any) -> Any:
    values = "CAST('k' AS BINARY), CAST('v' AS BINARY), 'asked', 1, 7L, TIMESTAMP '2026-03-01T00:00:00.123Z'"
    return spark.sql(f"SELECT * FROM VALUES ({values}) AS records ({', '.join(COLUMNS)})")


@pytest.mark.spark
def test_a_master_with_as_many_slots_as_partitions_is_refused(spark: Any) -> None:
    few = query(lambda records: records)
    real_time_query.check_slots(spark, few, partitions=1)
    with pytest.raises(
        UsageError, match=r"more than 2 task slots.*local\[2\] has 2. Start it with --master 'local\[4\]'"
    ):
        real_time_query.check_slots(spark, few, partitions=2)
