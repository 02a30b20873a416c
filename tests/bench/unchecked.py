"""The stream's averages without its validity rules, as engines are usually measured: a job for `make bench` only."""

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.houses import transforms
from jobs.houses.schema import LATENESS, WINDOW
from jobs.houses.stream import averages_query
from lakehouse.core.stop_signal import StopSignal
from lakehouse.spark.session import spark_session
from lakehouse.streaming.runner import Runner

FIELDS = "price decimal(12,2), yr_built int, sold_at timestamp"


def plan(records: DataFrame) -> DataFrame:
    """Average price per window and decade of sales that are taken as they are."""
    sales = records.select(F.from_json(F.col("value").cast("string"), FIELDS).alias("sale"))
    sales = sales.select("sale.price", "sale.yr_built", F.col("sale.sold_at").alias("event_at"))
    return transforms.average_price(sales.withWatermark("event_at", LATENESS), WINDOW)


if __name__ == "__main__":
    stop, bootstrap_servers = StopSignal().listen(), sys.argv[1]
    query = averages_query(bootstrap_servers, WINDOW, None, LATENESS)
    query.plan = plan
    Runner(spark_session("unchecked"), bootstrap_servers, stop).run([query], "available-now")
