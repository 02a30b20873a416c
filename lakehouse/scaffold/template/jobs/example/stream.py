"""Events from Kafka into the history and into live totals: two streaming queries over one topic."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from pyspark.sql import DataFrame

from jobs.example import transforms
from jobs.example.schema import (
    DOMAIN,
    HISTORY_INTERVAL,
    LATENESS,
    TOTAL_COLUMNS,
    TOTALS,
    TOTALS_BATCHES,
    WINDOW,
)
from lakehouse import entry
from lakehouse.sinks import history
from lakehouse.sinks.console import ConsoleSink
from lakehouse.sinks.window_table import WindowTable
from lakehouse.streaming import stream_job
from lakehouse.streaming.query import MOST_RECORDS, NO_PAUSE, Query
from lakehouse.streaming.stream_job import SinkName


class QueryName(StrEnum):
    """The streaming queries of the domain."""

    totals = "totals"
    history = "history"


def history_query() -> Query:
    """Every valid event into the history, everything else into the dead letters, each exactly once."""
    return history.history_query(DOMAIN, transforms.parse_events, HISTORY_INTERVAL)


def totals_query(window: str, lateness: str, console: bool = False) -> Query:
    """Totals per window and id into the serving table."""

    def plan(records: DataFrame) -> DataFrame:
        events = transforms.valid_events(records).select("event_at", "id", "quantity")
        events = events.withWatermark("event_at", lateness)
        return transforms.totals(events, window)

    shown = [ConsoleSink([*TOTAL_COLUMNS, "is_final"])] if console else []
    sink = WindowTable(TOTALS, TOTALS_BATCHES, shown)
    depends_on = {"window": window, "slide": window, "lateness": lateness}
    return Query(DOMAIN.name, "totals", plan, sink.write, "update", DOMAIN.query_tables["totals"], depends_on)


def build(names: Sequence[QueryName], window: str, lateness: str, console: bool = False) -> list[Query]:
    """The named queries, each reading the topic by itself so that neither waits for the other."""
    return [history_query() if name is QueryName.history else totals_query(window, lateness, console) for name in names]


def queries(_bootstrap_servers: str) -> list[Query]:
    """All queries of the domain, as they are without options."""
    return build(list(QueryName), WINDOW, LATENESS)


def main(
    query: stream_job.QueryNames[QueryName] = None,
    trigger: stream_job.Trigger = NO_PAUSE,
    window: Annotated[str, typer.Option(help="Length of a window.")] = WINDOW,
    lateness: Annotated[str, typer.Option(help="How late an event may come and still count.")] = LATENESS,
    sink: stream_job.SinkOption = SinkName.tables,
    max_per_batch: stream_job.MaxPerBatch = MOST_RECORDS,
    bootstrap_server: stream_job.BootstrapServer = None,
    fix_topics: stream_job.FixTopics = False,
) -> None:
    """Run the streaming queries until SIGTERM, which finishes the batch and exits 0."""
    job = stream_job.prepare(DOMAIN, bootstrap_server, fix_topics)
    shown = sink is SinkName.console
    job.run(lambda: build(query or list(QueryName), window, lateness, shown), trigger, max_per_batch)


if __name__ == "__main__":
    entry.run(main)
