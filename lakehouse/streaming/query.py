"""A streaming query as a job declares it, and its topics as its stream."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contract.domain import QueryTables
from lakehouse.kafka import client
from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.spark.session import runs_locally
from lakehouse.streaming import checkpoints
from lakehouse.streaming.batch import Batch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


NO_PAUSE = "0 seconds"
MOST_RECORDS = 1_000_000  # in a batch
# After each poll Spark seeks to find the partition's bounds, which drops the records fetched but not yet polled. With
# Kafka's 500 records a poll this took a third of a task's time, so one poll returns a whole fetch.
# A fetch that waits at the broker for new records holds up the next batch's first one: by default for half a second.
_FETCHED = {
    "kafka.max.poll.records": "10000",
    "kafka.max.partition.fetch.bytes": str(2 * 1024 * 1024),
    "kafka.fetch.max.wait.ms": "10",
}

Write = Callable[["DataFrame", Batch], None]


@dataclass
class Query:
    """A streaming query: its plan over the records of its topics, what it does with a batch, the tables that it writes,
    and what its state depends on. `conf` are Spark's settings for this query alone, such as its state store.
    """

    domain: str
    name: str
    plan: Callable[["DataFrame"], "DataFrame"]
    write: Write
    output_mode: str
    query_tables: QueryTables
    depends_on: dict[str, str] = field(default_factory=dict)
    most_records: int = MOST_RECORDS  # in a batch, unless the job is given another number
    trigger_interval: str = NO_PAUSE  # time between batches when the job is run without --trigger
    conf: Mapping[str, str] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Path:
        """The query's checkpoint folder."""
        return checkpoints.path(self.domain, self.name)

    @property
    def lock(self) -> Path:
        """The lock file of whoever runs or rebuilds the query."""
        return self.checkpoint.with_suffix(".lock")

    @property
    def full_name(self) -> str:
        """<domain>.<query>, its name in logs, commands and on pages."""
        return f"{self.domain}.{self.name}"


def read_topics(
    spark: "SparkSession", bootstrap_servers: str, starts: Offsets, most: int = MOST_RECORDS
) -> "DataFrame":
    """The records of topics as one stream, without those of aborted transactions; lost offsets are an error.

    `starts` are the offsets at which a new checkpoint starts to read: each partition of each topic has to be named.
    """
    by_topic: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(starts.items()):
        by_topic.setdefault(topic, {})[str(partition)] = offset
    options = {
        "kafka.bootstrap.servers": bootstrap_servers,
        "subscribe": ",".join(by_topic),
        "startingOffsets": json.dumps(by_topic),
        "kafka.isolation.level": "read_committed",
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(most),
        **_FETCHED,
        **client.spark_options(),
    }
    records = spark.readStream.format("kafka").options(**options).load()
    slots = _task_slots(spark)
    return records.coalesce(slots) if slots else records


def _task_slots(spark: "SparkSession") -> int | None:
    """How many tasks run at once, where that is known at the start: locally.

    More tasks than that are no faster, and each costs a small batch some 20 ms: one for each of 4 partitions on 2 cores
    made a batch of averages take 350 ms, two tasks 285. On a cluster executors come and go.
    """
    return spark.sparkContext.defaultParallelism if runs_locally(spark) else None
