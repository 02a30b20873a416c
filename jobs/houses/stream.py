"""Sales from Kafka into the history and into live averages: two streaming queries over one topic."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from pyspark.sql import DataFrame

from jobs.houses import transforms
from jobs.houses.schema import (
    AVERAGE_COLUMNS,
    AVERAGE_UPDATES,
    AVERAGES,
    AVERAGES_BATCHES,
    DOMAIN,
    HISTORY_INTERVAL,
    LATENESS,
    WINDOW,
)
from jobs.houses.window_updates import update_message
from lakehouse import entry
from lakehouse.sinks import history
from lakehouse.sinks.console import ConsoleSink
from lakehouse.sinks.topic import RepeatingTopic
from lakehouse.sinks.window_table import WindowTable
from lakehouse.streaming import stream_job
from lakehouse.streaming.query import MOST_RECORDS, NO_PAUSE, Query
from lakehouse.streaming.stream_job import SinkName


class QueryName(StrEnum):
    """The streaming queries of the domain."""

    averages = "averages"
    history = "history"


def history_query() -> Query:
    """Every valid sale into the history, everything else into the dead letters, each exactly once."""
    return history.history_query(DOMAIN, transforms.parse_sales, HISTORY_INTERVAL)


def averages_query(
    bootstrap_servers: str, window: str, slide: str | None, lateness: str, console: bool = False
) -> Query:
    """Average price per window and decade into the serving table and onto its topic.

    A batch that comes again sends the same absolute values under the same keys to the topic again.
    """

    def plan(records: DataFrame) -> DataFrame:
        sales = transforms.priced_sales(records).withWatermark("event_at", lateness)
        return transforms.average_price(sales, window, slide)

    topic = RepeatingTopic(bootstrap_servers, AVERAGE_UPDATES.name, update_message, identity="key")
    shown = [ConsoleSink([*AVERAGE_COLUMNS, "is_final"])] if console else []
    sink = WindowTable(AVERAGES, AVERAGES_BATCHES, [topic, *shown])
    depends_on = {"window": window, "slide": slide or window, "lateness": lateness}
    return Query(DOMAIN.name, "averages", plan, sink.write, "update", DOMAIN.query_tables["averages"], depends_on)


def build(names: Sequence[QueryName], bootstrap_servers: str, **options: Any) -> list[Query]:
    """The named queries, each reading the topic by itself so that neither waits for the other."""
    return [
        history_query() if name is QueryName.history else averages_query(bootstrap_servers, **options) for name in names
    ]


def queries(bootstrap_servers: str) -> list[Query]:
    """All queries of the domain, as they are without options."""
    return build(list(QueryName), bootstrap_servers, window=WINDOW, slide=None, lateness=LATENESS)


def main(
    query: stream_job.QueryNames[QueryName] = None,
    trigger: stream_job.Trigger = NO_PAUSE,
    window: Annotated[str, typer.Option(help="Length of a window.")] = WINDOW,
    slide: Annotated[str | None, typer.Option(help="Time between window starts, for sliding windows.")] = None,
    lateness: Annotated[str, typer.Option(help="How late a sale may come and still count.")] = LATENESS,
    sink: stream_job.SinkOption = SinkName.tables,
    max_per_batch: stream_job.MaxPerBatch = MOST_RECORDS,
    bootstrap_server: stream_job.BootstrapServer = None,
    fix_topics: stream_job.FixTopics = False,
) -> None:
    """Run the streaming queries until SIGTERM, which finishes the batch and exits 0."""
    job = stream_job.prepare(DOMAIN, bootstrap_server, fix_topics)
    options = {"window": window, "slide": slide, "lateness": lateness, "console": sink is SinkName.console}
    job.run(lambda: build(query or list(QueryName), job.bootstrap_servers, **options), trigger, max_per_batch)


if __name__ == "__main__":
    entry.run(main)
