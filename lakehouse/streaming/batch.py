"""A micro-batch as its checkpoint plans it: offsets, watermark, and the name of its writes in Delta's log."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.spark.session import collect
from lakehouse.streaming import checkpoints, sidecar
from lakehouse.tables import table_io
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Batch:
    """A micro-batch of a query: which offsets it reads, with which watermark, and the id of its writes.

    Records below `stored_until` may be in the tables already: after a rebuild some are read again.
    """

    generation: str
    batch_id: int
    starts: Offsets
    ends: Offsets
    watermark: datetime | None
    query: str = "query"
    stored_until: Offsets = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many records the batch reads."""
        return sum(end - self.starts.get(where, 0) for where, end in self.ends.items())

    @property
    def app_id(self) -> str:
        """The name under which its writes are recorded in Delta's log, with `batch_id` as the version."""
        return checkpoints.app_id(self.generation, self.query)

    @property
    def reads_again(self) -> bool:
        """Whether some of its records may be in the tables already."""
        return any(self.starts.get(where, 0) < until for where, until in self.stored_until.items())


def describe_batch(checkpoint: Path, batch_id: int) -> Batch:
    """The batch's offsets and watermark from the checkpoint, where Spark writes them before the batch runs.

    The first one also notes the checkpoint's id beside it: from here on only this checkpoint may write the tables.
    """
    plan, before = checkpoints.plan(checkpoint, batch_id), checkpoints.plan(checkpoint, batch_id - 1)
    generation, beside = checkpoints.generation(checkpoint), sidecar.read(checkpoint)
    if beside is not None and not beside.generation:
        sidecar.write(checkpoint, replace(beside, generation=generation))
    known = beside or sidecar.Sidecar()
    begun = {**known.starts, **before.ends}
    starts = {where: begun.get(where, 0) for where in plan.ends}  # Spark reads an added partition from offset 0
    until = {where: known.stored_until[where] for where in plan.ends if where in known.stored_until}
    return Batch(generation, batch_id, starts, plan.ends, plan.watermark, checkpoint.name, until)


def without_stored(frame: "DataFrame", batch: Batch, stores: Sequence[Table]) -> "DataFrame":
    """The batch's rows without those that a table of records has already: after a rebuild some are read again."""
    if not batch.reads_again:
        return frame
    where = ["topic", "partition", "offset"]
    stored = [table_io.read_spark(frame.sparkSession, table).select(*where) for table in stores]
    return frame.join(functools.reduce(lambda left, right: left.union(right), stored), where, "left_anti")


def last_offsets(events: Sequence["DataFrame"]) -> "DataFrame":
    """The `last` offset of each topic and partition in these frames of records."""
    from pyspark.sql import functions as F

    read = [frame.select("topic", "partition", "offset") for frame in events]
    every = functools.reduce(lambda left, right: left.union(right), read)
    return every.groupBy("topic", "partition").agg(F.max("offset").alias("last"))


def covered(last: "DataFrame", log: "DataFrame") -> tuple[str | None, int | None]:
    """Generation and id of the newest batch of a batch log that has no record after the `last` of its partition."""
    from pyspark.sql import functions as F

    both = log.join(last, ["topic", "partition"], "left")
    whole = both.groupBy("generation", "batch_id").agg(
        F.max("committed_at").alias("at"),
        F.min(F.col("end_offset") <= F.coalesce("last", F.lit(-1)) + 1).alias("whole"),
    )
    newest = collect(whole.where("whole").orderBy(F.desc("at"), F.desc("batch_id")).limit(1))
    return (newest[0]["generation"], newest[0]["batch_id"]) if newest else (None, None)


def offsets_log(batch: Batch) -> list[dict[str, Any]]:
    """The batch as rows of a batch log, one per partition: offsets (end exclusive) and watermark."""
    return [
        {
            "generation": batch.generation,
            "batch_id": batch.batch_id,
            "topic": topic,
            "partition": partition,
            "start_offset": batch.starts[(topic, partition)],
            "end_offset": end,
            "watermark": batch.watermark,
            "committed_at": datetime.now(UTC),
        }
        for (topic, partition), end in sorted(batch.ends.items())
    ]
