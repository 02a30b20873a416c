"""The history goes on when Spark loses the count of invalid records."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.observation import Observation

from lakehouse.sinks import history

pytestmark = pytest.mark.spark


@pytest.mark.parametrize(("numbers", "has_invalid"), [([1, 2], False), ([1, -2], True)])
def test_the_count_says_whether_a_batch_has_invalid_records(
    spark: SparkSession, numbers: list[int], has_invalid: bool
) -> None:
    seen = Observation()
    frame = spark.createDataFrame([(number,) for number in numbers], "n int")
    frame.observe(seen, F.count(F.when(F.col("n") < 0, 1)).alias("invalid")).count()
    assert history.may_have_invalid(seen) is has_invalid


@pytest.mark.timeout(60)
def test_a_count_that_never_comes_is_not_waited_for(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PATIENCE", 0.1)
    seen = Observation()
    spark.range(3).observe(seen, F.count(F.lit(1)).alias("invalid"))  # and no action follows
    assert history.may_have_invalid(seen)
