"""Events from Kafka into the history and into totals in Delta and PostgreSQL: two streaming queries over one topic."""

import functools
from enum import StrEnum
from typing import Annotated

import typer
from pyspark.sql import functions as F

from jobs.production import transforms
from jobs.production.plant import plant
from jobs.production.schema import DOMAIN, EVENTS, HISTORY_PACE, MOST_PER_BATCH
from jobs.production.totals import totals_query
from jobs.production.versions import Versions, settle
from lakehouse import entry
from lakehouse.kafka import topic_settings, topics
from lakehouse.settings import settings
from lakehouse.sinks.history import history_query
from lakehouse.spark.session import spark_session
from lakehouse.streaming.query import Query, StopSignal
from lakehouse.streaming.runner import Runner


class QueryName(StrEnum):
    """The streaming queries of the domain."""

    totals = "totals"
    history = "history"


class Sink(StrEnum):
    """Where totals go."""

    tables = "tables"
    console = "console"


def build(name: QueryName, rules: Versions, sink: Sink = Sink.tables) -> Query:
    """A query of the domain."""
    if name is QueryName.totals:
        return totals_query(rules, console=sink is Sink.console)
    parse = functools.partial(transforms.parse_events, rules=rules)
    steps = (parse, transforms.valid_events, transforms.dead_letters)
    return history_query(DOMAIN.name, DOMAIN.stores["history"], *steps, F.col("reason").isNull(), HISTORY_PACE)


def main(
    query: Annotated[list[QueryName] | None, typer.Option(help="Only this query; may be given twice.")] = None,
    trigger: Annotated[str, typer.Option(help="Time between batches, or `available-now`.")] = "0 seconds",
    sink: Annotated[Sink, typer.Option(help="console: show each changed total besides, for debugging.")] = Sink.tables,
    max_per_batch: Annotated[int, typer.Option(min=1, help="Most records that a batch reads.")] = MOST_PER_BATCH,
    bootstrap_server: Annotated[str | None, typer.Option(help="Kafka's host:port.")] = None,
    fix_topics: Annotated[bool, typer.Option("--fix-topics", help="Set what topics have otherwise.")] = False,
) -> None:
    """Run the streaming queries until SIGTERM, which finishes the batch and exits 0."""
    plant()  # first: what is wrong in its file needs no Spark and no Kafka to be seen
    stop = StopSignal()
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    topic_settings.begin(bootstrap_servers, DOMAIN.topics, fix_topics)
    rules = settle(bootstrap_servers)
    spark = spark_session(f"{DOMAIN.name}-stream")
    queries = [build(name, rules, sink) for name in query or list(QueryName)]
    Runner(spark, bootstrap_servers, EVENTS.name, stop, max_per_batch).run(queries, trigger)


if __name__ == "__main__":
    entry.run(main)
