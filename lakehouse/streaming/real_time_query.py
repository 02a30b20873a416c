"""A query in Spark's real-time mode as a job declares it: requests from one topic, answers onto another.

It answers in milliseconds: its tasks run all the time, one for each partition of the requests, each in a slot of the
master that it keeps. Spark commits what was read once in an interval; after a kill the requests since then are
answered again, so answers are at least once on the topic. Whoever stores them lets the first stand.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.contract.topics import Topic
from lakehouse.errors import UsageError
from lakehouse.kafka import client
from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.kafka.source_headers import source_columns
from lakehouse.streaming import checkpoints

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.readwriter import DataStreamWriter

# Between two batches nothing is answered for some 100 ms. With 60 s that is rare enough for 25 ms at p95; a kill has a
# minute's requests answered again, which takes a second.
INTERVAL = "60 seconds"
COLUMNS = ("key", "value", "topic", "partition", "offset", "timestamp")
# A fetch waits at the broker for new records; the seek of the next batch waits for it.
_SOURCE = {"kafka.isolation.level": "read_committed", "failOnDataLoss": "true", "kafka.fetch.max.wait.ms": "50"}
_SINK = {"kafka.acks": "all", "kafka.enable.idempotence": "true", "kafka.linger.ms": "0"}


def _no_version() -> str:
    return ""


@dataclass(frozen=True)
class RealTimeQuery:
    """A query from the topic `requests` to the topic `answers`.

    - `plan`: from the records of requests (COLUMNS) to a frame that has their columns still, with the answer as `value`
      and the request's key as `key`; expressions and MLlib stages only. It is called at each start, and loads the model
    - `version`: which model is live now; when it changes, the query is restarted with a new plan
    - `depends_on`: what the checkpoint is bound to; a model is none of it
    - `interval`: how often Spark commits what was read, at least 5 seconds
    """

    domain: str
    name: str
    requests: Topic
    answers: Topic
    plan: "Callable[[DataFrame], DataFrame]"
    version: Callable[[], str] = _no_version
    depends_on: Mapping[str, str] = field(default_factory=dict)
    interval: str = INTERVAL

    def __post_init__(self) -> None:
        """Raises UsageError when others may write to the topic of requests."""
        if not self.requests.encoded_by_us:
            raise UsageError(
                f"The real-time query {self.full_name} cannot read topic {self.requests.name}: others may write to it, "
                "and in real-time mode a record that breaks a rule cannot be put aside.",
                "Let a process of ours check the records and send them to a topic declared with encoded_by_us=True.",
            )

    @property
    def checkpoint(self) -> Path:
        """The query's checkpoint folder."""
        return checkpoints.path(self.domain, self.name)

    @property
    def full_name(self) -> str:
        """<domain>.<query>, its name in logs, commands and on pages."""
        return f"{self.domain}.{self.name}"

    @property
    def trigger(self) -> str:
        """How Health names its pace."""
        return f"real-time {self.interval}"


def check_slots(spark: "SparkSession", query: RealTimeQuery, partitions: int) -> None:
    """Raises UsageError when the master has not more task slots than the topic has partitions."""
    slots = spark.sparkContext.defaultParallelism
    if slots > partitions:
        return
    what = (
        f"The real-time query {query.full_name} needs more than {partitions} task slots, since each partition of "
        f"{query.requests.name} keeps one for good; the master {spark.sparkContext.master} has {slots}."
    )
    raise UsageError(what, f"Start it with --master 'local[{partitions + 2}]', or with more cores on a cluster.")


def answers(query: RealTimeQuery, records: "DataFrame") -> "DataFrame":
    """The answers as they go to the topic: key, value, and headers that name the request.

    Raises UsageError when the plan has dropped a column that names it.
    """
    frame = query.plan(records.select(*COLUMNS))
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        what = f"The plan of the real-time query {query.full_name} has no column {', '.join(missing)} left."
        raise UsageError(what, f"Keep {', '.join(COLUMNS)}; the answer goes into value.")
    return frame.select("key", "value", source_columns())


def read_requests(spark: "SparkSession", bootstrap_servers: str, query: RealTimeQuery, starts: Offsets) -> "DataFrame":
    """The requests as a stream; a new checkpoint begins at these offsets, of each partition."""
    begins = {query.requests.name: {str(partition): offset for (_, partition), offset in starts.items()}}
    options = {
        "kafka.bootstrap.servers": bootstrap_servers,
        "subscribe": query.requests.name,
        "startingOffsets": json.dumps(begins),
    }
    return spark.readStream.format("kafka").options(**options, **_SOURCE, **client.spark_options()).load()


def writer(frame: "DataFrame", bootstrap_servers: str, query: RealTimeQuery) -> "DataStreamWriter":
    """What writes the answers, ready to start."""
    options = {"kafka.bootstrap.servers": bootstrap_servers, "topic": query.answers.name, **_SINK}
    stream = frame.writeStream.queryName(query.full_name).format("kafka")
    stream = stream.options(**options, **client.spark_options(), checkpointLocation=str(query.checkpoint))
    every: Any = {"realTime": query.interval}  # of Spark 4.2; its overloads do not know it
    return stream.outputMode("update").trigger(**every)
