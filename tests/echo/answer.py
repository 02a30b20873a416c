"""The job of the echo's query: `python -m lakehouse.spark.submit --master 'local[4]' tests/echo/answer.py`."""

import sys
from typing import TYPE_CHECKING

from lakehouse import entry
from lakehouse.settings import ROOT

sys.path.insert(0, str(ROOT))  # tests are not installed

from lakehouse.streaming import real_time_job
from lakehouse.streaming.real_time_query import INTERVAL, RealTimeQuery
from tests.echo.schema import ANSWERS, REQUESTS, version

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def plan(records: "DataFrame") -> "DataFrame":
    """The answers of the version that is live now; one that is called broken cannot be loaded."""
    from pyspark.sql import functions as F

    if (now := version()) == "broken":
        raise ValueError("the model's file is damaged")
    return records.withColumn("value", F.concat(F.lit(f"{now}:"), F.col("value").cast("string")).cast("binary"))


def main(interval: str = INTERVAL) -> None:
    """Answer until SIGTERM."""
    real_time_job.run(
        lambda: RealTimeQuery("echo", "texts", REQUESTS, ANSWERS, plan, version, interval=interval), (REQUESTS, ANSWERS)
    )


if __name__ == "__main__":
    entry.run(main)
