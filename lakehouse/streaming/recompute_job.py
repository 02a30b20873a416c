"""What the `recompute.py` of every domain does: pin a version of the history, write batch tables that name it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.contract.domain import Domain
from lakehouse.contract.tables import Table
from lakehouse.core.locks import exclusive
from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.settings import settings
from lakehouse.spark.session import spark_session
from lakehouse.streaming import batch
from lakehouse.tables import table_io

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


@dataclass(frozen=True)
class PinnedHistory:
    """One version of the history and of the dead letters; the stream may go on appending."""

    version: int
    letters_version: int
    events: "DataFrame"
    dead_letters: "DataFrame"

    def write(self, frame: "DataFrame", table: Table, batch_log: Table, ends: Offsets | None = None) -> None:
        """Replace a batch table, its rows stamped with the history's version and the newest speed batch within it.

        `ends` is the offset after the last record of each partition; without it all records are read for it.
        """
        log = table_io.read_spark(frame.sparkSession, batch_log)
        known = batch.last_offsets([self.events, self.dead_letters]) if ends is None else _frame(log, ends)
        generation, batch_id = batch.covered(known, log)
        table_io.overwrite(frame.withColumns(_stamp(generation, batch_id, self.version)), table)


def pin(spark: "SparkSession", history: Table, dead_letters: Table) -> PinnedHistory:
    """The newest versions.

    Dead letters are pinned first. A batch writes them last, so every pinned letter's batch is in the pinned history.
    """
    letters_version = _newest(dead_letters)
    letters = table_io.read_version(spark, dead_letters, letters_version)
    version = _newest(history)
    return PinnedHistory(version, letters_version, table_io.read_version(spark, history, version), letters)


def write_parity(parity: "DataFrame", table: Table) -> "DataFrame":
    """Replace the parity table; returns its rows."""
    from pyspark.sql import functions as F

    table_io.overwrite(parity.withColumn("recomputed_at", F.current_timestamp()), table)
    return table_io.read_spark(parity.sparkSession, table)


def run(domain: Domain, recompute: Callable[["SparkSession"], None]) -> None:
    """Recompute with Spark, one run of the domain at a time."""
    with exclusive(settings().run / f"{domain.name}.recompute.lock", "The recomputation"):
        spark = spark_session(f"{domain.name}-recompute")
        recompute(spark)
        spark.stop()


def _frame(log: "DataFrame", ends: Offsets) -> "DataFrame":
    """Last offsets by partition. An Arrow table, since Spark starts Python workers for a list of rows."""
    places = [*ends]
    columns = {
        "topic": pa.array([topic for topic, _partition in places], pa.string()),
        "partition": pa.array([partition for _topic, partition in places], pa.int32()),
        "last": pa.array([ends[place] - 1 for place in places], pa.int64()),
    }
    return log.sparkSession.createDataFrame(pa.table(columns))


def _newest(table: Table) -> int:
    if not table_io.exists(table):
        table_io.create(table)
    return DeltaTable(table.path).version()


def _stamp(generation: str | None, batch_id: int | None, version: int) -> "dict[str, Column]":
    from pyspark.sql import functions as F

    return {
        "covered_generation": F.lit(generation).cast("string"),
        "covered_batch_id": F.lit(batch_id).cast("bigint"),
        "history_version": F.lit(version).cast("bigint"),
        "recomputed_at": F.current_timestamp(),
    }
