"""The zone of a Spark session, and of the times that leave it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import UsageError
from lakehouse.spark import session

pytestmark = pytest.mark.spark
NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is in a zone half an hour off the others."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


def test_times_leave_spark_in_utc_and_say_so(spark: SparkSession, elsewhere: None) -> None:
    frame = spark.createDataFrame([(NOON, None, 1)], "at timestamp, never timestamp, units int")
    (row,) = session.collect(frame)
    assert row == {"at": NOON, "never": None, "units": 1}
    assert row["at"].utcoffset().total_seconds() == 0
    assert session.collect(frame.limit(0)) == []


def test_a_session_is_in_utc_whatever_was_set_before(spark: SparkSession, elsewhere: None) -> None:
    spark.conf.set(session.ZONE, "Asia/Kolkata")
    assert session.spark_session("tests").conf.get(session.ZONE) == "UTC"


def test_a_session_that_is_to_be_in_another_zone_is_refused(spark: SparkSession) -> None:
    given = spark.sparkContext._conf.set(session.ZONE, "Asia/Tokyo")  # as from --conf or a properties file
    try:
        with pytest.raises(UsageError, match=r"timeZone is UTC: .* got Asia/Tokyo\. Remove that setting\."):
            session.spark_session("tests")
    finally:
        given.set(session.ZONE, "UTC")
