"""Sales from Kafka into the history and into live averages: two streaming queries over one topic."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.houses import transforms
from jobs.houses.schema import (
    AVERAGE_UPDATES,
    AVERAGES,
    AVERAGES_BATCHES,
    DOMAIN,
    HISTORY_PACE,
    LATENESS,
    SALES,
    WINDOW,
)
from jobs.houses.window_updates import publisher
from lakehouse import entry
from lakehouse.kafka import topic_settings, topics
from lakehouse.settings import settings
from lakehouse.sinks import history
from lakehouse.sinks.window_table import WindowWriter
from lakehouse.spark.session import spark_session
from lakehouse.streaming.query import MOST_RECORDS, Query, StopSignal
from lakehouse.streaming.runner import Runner


class QueryName(StrEnum):
    """The streaming queries of the domain."""

    averages = "averages"
    history = "history"


def history_query() -> Query:
    """Every valid sale into the history, everything else into the dead letters, each exactly once."""
    rules = (transforms.parse_sales, transforms.valid_sales, transforms.dead_letters)
    return history.history_query(DOMAIN.name, DOMAIN.stores["history"], *rules, F.col("is_valid"), HISTORY_PACE)


def averages_query(bootstrap_servers: str, window: str, slide: str | None, lateness: str) -> Query:
    """Average price per window and decade into the serving table and onto its topic."""

    def plan(records: DataFrame) -> DataFrame:
        sales = transforms.valid_sales(transforms.parse_sales(records))
        # Spark does not prune columns through a watermark: what no average needs would be copied for each sale.
        sales = sales.select("event_at", "price", "yr_built").withWatermark("event_at", lateness)
        return transforms.average_price(sales, window, slide)

    writer = WindowWriter(AVERAGES, AVERAGES_BATCHES, publisher(bootstrap_servers, AVERAGE_UPDATES.name))
    depends_on = {"window": window, "slide": slide or window, "lateness": lateness}
    return Query(DOMAIN.name, "averages", plan, writer.write, "update", DOMAIN.stores["averages"], depends_on)


def build(names: Sequence[QueryName], bootstrap_servers: str, **timing: Any) -> list[Query]:
    """The named queries, each reading the topic by itself so that neither waits for the other."""
    return [
        history_query() if name is QueryName.history else averages_query(bootstrap_servers, **timing) for name in names
    ]


def main(
    query: Annotated[list[QueryName] | None, typer.Option(help="Only this query; may be given twice.")] = None,
    trigger: Annotated[str, typer.Option(help="Time between batches, or `available-now`.")] = "0 seconds",
    window: Annotated[str, typer.Option(help="Length of a window.")] = WINDOW,
    slide: Annotated[str | None, typer.Option(help="Time between window starts, for sliding windows.")] = None,
    lateness: Annotated[str, typer.Option(help="How late a sale may come and still count.")] = LATENESS,
    max_per_batch: Annotated[int, typer.Option(min=1, help="Most records that a batch reads.")] = MOST_RECORDS,
    bootstrap_server: Annotated[str | None, typer.Option(help="Kafka's host:port.")] = None,
    fix_topics: Annotated[bool, typer.Option("--fix-topics", help="Set what topics have otherwise.")] = False,
) -> None:
    """Run the streaming queries until SIGTERM, which finishes the batch and exits 0."""
    stop = StopSignal()
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    topic_settings.begin(bootstrap_servers, DOMAIN.topics, fix_topics)
    spark = spark_session(f"{DOMAIN.name}-stream")
    queries = build(query or list(QueryName), bootstrap_servers, window=window, slide=slide, lateness=lateness)
    Runner(spark, bootstrap_servers, SALES.name, stop, max_per_batch).run(queries, trigger)


if __name__ == "__main__":
    entry.run(main)
