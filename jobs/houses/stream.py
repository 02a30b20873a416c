"""Sales from Kafka into the history and into live averages: two streaming queries over one topic."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.observation import Observation

from jobs.houses import transforms
from jobs.houses.schema import (
    AVERAGE_UPDATES,
    AVERAGES,
    AVERAGES_BATCHES,
    DEAD_LETTERS,
    DOMAIN,
    HISTORY,
    HISTORY_PACE,
    LATENESS,
    SALES,
    WINDOW,
)
from jobs.houses.updates import publisher
from lakehouse import entry, tables, topics
from lakehouse.session import spark_session
from lakehouse.settings import settings
from lakehouse.streams import Batch, Query, Runner, StopSignal, read_topic
from lakehouse.windows import WindowWriter


class QueryName(StrEnum):
    """The streaming queries of the domain."""

    averages = "averages"
    history = "history"


def history_query(records: DataFrame) -> Query:
    """Every valid sale into the history, everything else into the dead letters, each exactly once."""
    for table in (HISTORY, DEAD_LETTERS):
        tables.create(table)

    def write(parsed: DataFrame, batch: Batch) -> None:
        app_id = f"{batch.generation}:history"
        seen = Observation()
        invalid = F.count(F.when(~F.col("is_valid"), 1))
        observed = parsed.observe(seen, invalid.alias("invalid"))
        few = batch.records < 100_000
        tables.append_batch(_one_file(transforms.valid_sales(observed), few), HISTORY, app_id, batch.batch_id)
        if seen.get["invalid"]:
            bad = transforms.dead_letters(parsed)
            tables.append_batch(_one_file(bad, few), DEAD_LETTERS, app_id, batch.batch_id)

    # Parsed in the streaming plan, which is built and analysed once; in `write` it cost half a second a batch.
    parsed = transforms.parse_sales(records)
    return Query(DOMAIN.name, "history", parsed, write, "append", pace=HISTORY_PACE)


def _one_file(frame: DataFrame, few: bool) -> DataFrame:
    return frame.coalesce(1) if few else frame


def averages_query(records: DataFrame, bootstrap_servers: str, window: str, slide: str | None, lateness: str) -> Query:
    """Average price per window and decade into the serving table and onto its topic."""
    sales = transforms.valid_sales(transforms.parse_sales(records)).withWatermark("event_at", lateness)
    averages = transforms.average_price(sales, window, slide)
    writer = WindowWriter(AVERAGES, AVERAGES_BATCHES, publisher(bootstrap_servers, AVERAGE_UPDATES.name))
    depends_on = {"window": window, "slide": slide or window, "lateness": lateness}
    return Query(DOMAIN.name, "averages", averages, writer.write, "update", depends_on)


def build(spark: SparkSession, names: list[QueryName], bootstrap_servers: str, **timing: Any) -> list[Query]:
    """The named queries, each reading the topic by itself so that neither waits for the other."""
    queries = []
    for name in names:
        records = read_topic(spark, bootstrap_servers, SALES.name)
        if name is QueryName.history:
            queries.append(history_query(records))
        else:
            queries.append(averages_query(records, bootstrap_servers, **timing))
    return queries


def main(
    query: Annotated[list[QueryName] | None, typer.Option(help="Only this query; may be given twice.")] = None,
    trigger: Annotated[str, typer.Option(help="Time between batches, or `available-now`.")] = "0 seconds",
    window: Annotated[str, typer.Option(help="Length of a window.")] = WINDOW,
    slide: Annotated[str | None, typer.Option(help="Time between window starts, for sliding windows.")] = None,
    lateness: Annotated[str, typer.Option(help="How late a sale may come and still count.")] = LATENESS,
    bootstrap_server: Annotated[str | None, typer.Option(help="Kafka's host:port.")] = None,
) -> None:
    """Run the streaming queries until SIGTERM, which finishes the batch and exits 0."""
    stop = StopSignal()
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    topics.ensure(bootstrap_servers, DOMAIN.topics)
    spark = spark_session(f"{DOMAIN.name}-stream")
    names = query or list(QueryName)
    queries = build(spark, names, bootstrap_servers, window=window, slide=slide, lateness=lateness)
    Runner(spark, bootstrap_servers, SALES.name, stop).run(queries, trigger)


if __name__ == "__main__":
    entry.run(main)
