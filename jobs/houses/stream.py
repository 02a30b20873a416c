"""Sales from Kafka into the history and into live averages: two streaming queries over one topic."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from pyspark.sql import DataFrame
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
from lakehouse import entry, faults, tables, topics
from lakehouse.batches import Batch, without_held
from lakehouse.session import spark_session
from lakehouse.settings import settings
from lakehouse.streams import MOST_RECORDS, Query, Runner, StopSignal
from lakehouse.windows import WindowWriter


class QueryName(StrEnum):
    """The streaming queries of the domain."""

    averages = "averages"
    history = "history"


def history_query() -> Query:
    """Every valid sale into the history, everything else into the dead letters, each exactly once."""
    stores = DOMAIN.stores["history"]

    def write(parsed: DataFrame, batch: Batch) -> None:
        seen = Observation()
        invalid = F.count(F.when(~F.col("is_valid"), 1))
        observed = parsed.observe(seen, invalid.alias("invalid"))
        few = batch.records < 100_000
        valid = without_held(transforms.valid_sales(observed), batch, stores.records)
        is_new = tables.append_batch(_one_file(valid, few), HISTORY, batch.app_id, batch.batch_id)
        faults.point(f"{batch.query}.appended", batch.batch_id)
        if not is_new or seen.get["invalid"]:  # of a batch that was skipped, nothing has been seen
            bad = without_held(transforms.dead_letters(parsed), batch, stores.records)
            tables.append_batch(_one_file(bad, few), DEAD_LETTERS, batch.app_id, batch.batch_id)

    # Parsed in the streaming plan, which is built and analysed once; in `write` it cost half a second a batch.
    return Query(DOMAIN.name, "history", transforms.parse_sales, write, "append", stores, pace=HISTORY_PACE)


def _one_file(frame: DataFrame, few: bool) -> DataFrame:
    return frame.coalesce(1) if few else frame


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
) -> None:
    """Run the streaming queries until SIGTERM, which finishes the batch and exits 0."""
    stop = StopSignal()
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    topics.ensure(bootstrap_servers, DOMAIN.topics)
    spark = spark_session(f"{DOMAIN.name}-stream")
    queries = build(query or list(QueryName), bootstrap_servers, window=window, slide=slide, lateness=lateness)
    Runner(spark, bootstrap_servers, SALES.name, stop, max_per_batch).run(queries, trigger)


if __name__ == "__main__":
    entry.run(main)
