"""What the `stream.py` of every domain does: its options, the checks before Spark starts, and the run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from lakehouse.contract.domain import Domain
from lakehouse.core.stop_signal import StopSignal
from lakehouse.kafka import topic_settings, topics
from lakehouse.settings import settings
from lakehouse.spark import executors
from lakehouse.spark.session import spark_session
from lakehouse.streaming.query import Query
from lakehouse.streaming.runner import Runner

Name = TypeVar("Name")
QueryNames = Annotated[list[Name] | None, typer.Option(help="Only this query; may be given twice.")]
Trigger = Annotated[str, typer.Option(help="Time between batches, or `available-now`.")]
MaxPerBatch = Annotated[int, typer.Option(min=1, help="Most records that a batch reads.")]
BootstrapServer = Annotated[str | None, typer.Option(help="Kafka's host:port.")]
FixTopics = Annotated[bool, typer.Option("--fix-topics", help="Set what topics have otherwise.")]


class SinkName(StrEnum):
    """Where a stream writes."""

    tables = "tables"
    console = "console"


SinkOption = Annotated[SinkName, typer.Option("--sink", help="console: show each changed row besides, for debugging.")]


@dataclass(frozen=True)
class StreamJob:
    """A stream whose broker answers and whose topics are as declared; Spark is not started yet."""

    domain: Domain
    bootstrap_servers: str
    stop: StopSignal

    def run(self, build: Callable[[], Sequence[Query]], trigger: str, max_per_batch: int) -> None:
        """Start Spark and run the queries that `build` makes with it, until a signal or, if so triggered, the end."""
        spark = spark_session(f"{self.domain.name}-stream")
        executors.begin(spark)
        Runner(spark, self.bootstrap_servers, self.stop, max_per_batch).run(build(), trigger)


def prepare(domain: Domain, bootstrap_server: str | None, fix_topics: bool) -> StreamJob:
    """Listen for signals, then check the broker and the domain's topics; raises LakeError when they cannot be used."""
    stop = StopSignal().listen()
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    topic_settings.begin(bootstrap_servers, domain.topics, fix_topics)
    return StreamJob(domain, bootstrap_servers, stop)
