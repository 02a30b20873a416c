"""Events from Kafka into the history and into totals in Delta and PostgreSQL: two streaming queries over one topic."""

import functools
from dataclasses import replace
from enum import StrEnum

from jobs.production import transforms
from jobs.production.plant import plant
from jobs.production.schema import DOMAIN, HISTORY_INTERVAL, MOST_PER_BATCH
from jobs.production.totals import totals_query
from jobs.production.versions import Versions, settle
from lakehouse import entry
from lakehouse.sinks.history import history_query
from lakehouse.streaming import stream_job
from lakehouse.streaming.query import NO_PAUSE, Query
from lakehouse.streaming.stream_job import SinkName


class QueryName(StrEnum):
    """The streaming queries of the domain."""

    totals = "totals"
    history = "history"


def build(name: QueryName, rules: Versions, sink: SinkName = SinkName.tables) -> Query:
    """A query of the domain."""
    if name is QueryName.totals:
        return totals_query(rules, console=sink is SinkName.console)
    return history_query(DOMAIN, functools.partial(transforms.parse_events, versions=rules), HISTORY_INTERVAL)


def queries(bootstrap_servers: str) -> list[Query]:
    """All queries of the domain, as they are without options."""
    plant()
    rules = settle(bootstrap_servers)
    return [replace(build(name, rules), most_records=MOST_PER_BATCH) for name in QueryName]


def main(
    query: stream_job.QueryNames[QueryName] = None,
    trigger: stream_job.Trigger = NO_PAUSE,
    sink: stream_job.SinkOption = SinkName.tables,
    max_per_batch: stream_job.MaxPerBatch = MOST_PER_BATCH,
    bootstrap_server: stream_job.BootstrapServer = None,
    fix_topics: stream_job.FixTopics = False,
) -> None:
    """Run the streaming queries until SIGTERM, which finishes the batch and exits 0."""
    plant()  # first: what is wrong in its file needs no Spark and no Kafka to be seen
    job = stream_job.prepare(DOMAIN, bootstrap_server, fix_topics)
    rules = settle(job.bootstrap_servers)
    job.run(lambda: [build(name, rules, sink) for name in query or list(QueryName)], trigger, max_per_batch)


if __name__ == "__main__":
    entry.run(main)
