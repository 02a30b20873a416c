"""A streaming query as a job declares it, and the topic as its stream."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contract.domain import QueryTables
from lakehouse.kafka import client
from lakehouse.streaming import checkpoints
from lakehouse.streaming.batch import Batch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


NO_PAUSE = "0 seconds"
MOST_RECORDS = 1_000_000  # in a batch
# After each poll Spark asks the broker for the partition's bounds, by seeks that throw away what was fetched beyond it.
# With Kafka's 500 records a poll that was a third of a task's time; so a poll takes all of a fetch.
_FETCHED = {"kafka.max.poll.records": "10000", "kafka.max.partition.fetch.bytes": str(2 * 1024 * 1024)}

Write = Callable[["DataFrame", Batch], None]


@dataclass
class Query:
    """A streaming query to run: how it makes its frame of the topic's records, what it does with a batch, where it
    stores that, and what its state depends on.
    """

    domain: str
    name: str
    plan: Callable[["DataFrame"], "DataFrame"]
    write: Write
    output_mode: str
    query_tables: QueryTables
    depends_on: dict[str, str] = field(default_factory=dict)
    pace: str = NO_PAUSE  # least time between batches when the trigger asks for none

    @property
    def checkpoint(self) -> Path:
        """The query's checkpoint folder."""
        return checkpoints.path(self.domain, self.name)

    @property
    def full_name(self) -> str:
        """<domain>.<query>, as it is called everywhere."""
        return f"{self.domain}.{self.name}"


def read_topic(
    spark: "SparkSession", bootstrap_servers: str, topic: str, starts: Mapping[int, int], most: int = MOST_RECORDS
) -> "DataFrame":
    """The topic's records as a stream, without aborted transactions; lost offsets are an error.

    `starts` is where a new checkpoint begins to read each partition.
    """
    options = {
        "kafka.bootstrap.servers": bootstrap_servers,
        "subscribe": topic,
        "startingOffsets": json.dumps({topic: {str(partition): at for partition, at in starts.items()}}),
        "kafka.isolation.level": "read_committed",
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(most),
        **_FETCHED,
        **client.spark_options(),
    }
    return spark.readStream.format("kafka").options(**options).load()
