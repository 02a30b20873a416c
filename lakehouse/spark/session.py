"""The Spark session of a job: its name, Delta and UTC; conf/ holds what a user would tune. And how rows leave it."""

import functools
import os
import subprocess
from typing import TYPE_CHECKING, Any

from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


ZONE = "spark.sql.session.timeZone"


def spark_session(name: str) -> "SparkSession":
    """The session, with Delta as a table format, in UTC.

    Raises UsageError outside spark-submit.sh, and when the configuration names another zone.
    """
    if "PYSPARK_SUBMIT_ARGS" not in os.environ:
        raise UsageError("This job needs Spark.", "Run it as `./spark-submit.sh jobs/<domain>/<job>.py`.")
    from pyspark import java_gateway
    from pyspark.sql import SparkSession

    # The JVM gets its own process session: a signal to our group (Ctrl-C, timeout) cannot kill it during a batch.
    java_gateway.Popen = functools.partial(subprocess.Popen, start_new_session=True)  # type: ignore[attr-defined, assignment]
    builder = SparkSession.builder.appName(name)
    for key, value in DELTA.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    zone = session.sparkContext.getConf().get(ZONE, "UTC")
    if zone != "UTC":
        raise UsageError(f"{ZONE} is UTC: days and hours are counted in it; got {zone}.", "Remove that setting.")
    session.conf.set(ZONE, zone)  # the properties file in use may not name it
    return session


def runs_locally(spark: "SparkSession") -> bool:
    """Whether driver and executors are this one machine's process."""
    return (spark.sparkContext.master or "local").startswith("local")


def collect(frame: "DataFrame") -> list[dict[str, Any]]:
    """The rows of a small frame, with times that carry UTC.

    Spark's own `collect` returns naive times in the process's zone.
    """
    rows: list[dict[str, Any]] = frame.toArrow().to_pylist()
    return rows


def stop_jvm(spark: "SparkSession", grace: float = 20.0) -> None:
    """End the JVM and wait for it, so that the next run on the same checkpoint finds none running."""
    if "LAKE_MAKE_ARCHIVE" in os.environ:
        grace = 300.0  # it writes the class archive while it ends
    process = getattr(spark.sparkContext._gateway, "proc", None)
    if process is None or process.poll() is not None:
        return
    spark.sparkContext.setLogLevel("OFF")  # a query's complaint that Python has gone is expected
    process.stdin.close()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
