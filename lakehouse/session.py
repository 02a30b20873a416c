"""The Spark session of a job: its name and the Delta extension, nothing a user would tune."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def spark_session(name: str) -> "SparkSession":
    """The session, with Delta as a table format. Raises UsageError outside spark-submit.sh."""
    if "PYSPARK_SUBMIT_ARGS" not in os.environ:
        raise UsageError("This job needs Spark.", "Run it as `./spark-submit.sh jobs/<domain>/<job>.py`.")
    from pyspark.sql import SparkSession

    with _sigterm_ignored():
        builder = SparkSession.builder.appName(name)
        for key, value in DELTA.items():
            builder = builder.config(key, value)
        return builder.getOrCreate()


@contextmanager
def _sigterm_ignored() -> Iterator[None]:
    """A JVM born while SIGTERM is ignored ignores it too, so a signal to the process group cannot kill it mid-batch."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_jvm(spark: "SparkSession", grace: float = 20.0) -> None:
    """End the JVM and wait for it, so that the next run on the same checkpoint meets no leftover."""
    process = getattr(spark.sparkContext._gateway, "proc", None)
    if process is None:
        return
    spark.sparkContext.setLogLevel("OFF")  # what a query says when its Python side leaves is no news
    process.stdin.close()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
