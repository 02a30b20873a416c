"""The Spark session of a job: its name, Delta and UTC, nothing a user would tune; and how rows leave it."""

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

    Raises UsageError outside spark-submit.sh, and when another zone was asked for.
    """
    if "PYSPARK_SUBMIT_ARGS" not in os.environ:
        raise UsageError("This job needs Spark.", "Run it as `./spark-submit.sh jobs/<domain>/<job>.py`.")
    from pyspark import java_gateway
    from pyspark.sql import SparkSession

    # A JVM in a session of its own: a signal to our process group (Ctrl-C, timeout) cannot kill it in mid-batch.
    java_gateway.Popen = functools.partial(subprocess.Popen, start_new_session=True)  # type: ignore[attr-defined, assignment]
    builder = SparkSession.builder.appName(name)
    for key, value in DELTA.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    asked = session.sparkContext.getConf().get(ZONE, "UTC")
    if asked != "UTC":
        raise UsageError(f"{ZONE} is UTC: days and hours are counted in it; got {asked}.", "Leave that setting out.")
    session.conf.set(ZONE, asked)  # also where the user's own properties file does not name it
    return session


def collect(frame: "DataFrame") -> list[dict[str, Any]]:
    """The rows of a small frame, their times in UTC and saying so.

    Spark's own `collect` makes naive times of the process's zone; Arrow's know theirs.
    """
    rows: list[dict[str, Any]] = frame.toArrow().to_pylist()
    return rows


def stop_jvm(spark: "SparkSession", grace: float = 20.0) -> None:
    """End the JVM and wait for it, so that the next run on the same checkpoint meets no leftover."""
    if "LAKE_MAKE_ARCHIVE" in os.environ:
        grace = 300.0  # it writes the archive while it ends
    process = getattr(spark.sparkContext._gateway, "proc", None)
    if process is None or process.poll() is not None:
        return
    spark.sparkContext.setLogLevel("OFF")  # what a query says when its Python side leaves is no news
    process.stdin.close()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
