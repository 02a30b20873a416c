"""Whether a cluster's executors can decode events: they need the platform's packages, as the driver has them."""

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from lakehouse.errors import RefusedError, last_cause
from lakehouse.spark.session import runs_locally

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


def begin(spark: "SparkSession") -> None:
    """Have a Python worker ready for the first batch; on a cluster, find out whether executors can run one."""
    if runs_locally(spark):
        threading.Thread(target=_start_worker, args=(spark,), name="first-worker", daemon=True).start()
    else:
        check(spark)


def _start_worker(spark: "SparkSession") -> None:
    with suppress(Exception):  # a batch that needs one starts it, or says why it cannot
        spark.range(0, 2, 1, 2).mapInArrow(_same, "id BIGINT").write.format("noop").mode("overwrite").save()


def check(spark: "SparkSession") -> None:
    """Start a Python worker of an executor as a query does. Raises RefusedError when that fails."""
    try:
        spark.range(1).mapInArrow(_same, "id BIGINT").toArrow()
    except Exception as error:
        raise RefusedError(
            f"The cluster's executors cannot decode events: {last_cause(str(error))}.",
            f"Each worker runs {sys.executable}: install the platform there at the same path (`make setup`), then "
            "start the stream again.",
        ) from error


def _same(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """The rows themselves, made where the decoder can be imported."""
    import lakehouse.events.reader  # noqa: F401

    yield from batches
