"""The queries of several domains in one Spark application: `lake up <domain> <domain> --one-application` starts it.

A domain whose queries cannot be built, a query whose start is refused, or one that fails leaves the others running.
"""

import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import structlog
import typer

from lakehouse import entry
from lakehouse.contract import discovery
from lakehouse.contract.domain import Domain
from lakehouse.core import run_state
from lakehouse.core.restart_policy import Failure, failure_of
from lakehouse.core.states import QueryState
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import RefusedError
from lakehouse.kafka import topic_settings, topics
from lakehouse.settings import settings
from lakehouse.spark import executors
from lakehouse.spark.session import spark_session
from lakehouse.streaming import stream_job
from lakehouse.streaming.query import NO_PAUSE, Query
from lakehouse.streaming.shared_runner import SharedRunner

log = structlog.get_logger()


def main(
    domains: Annotated[list[str], typer.Argument(help="Domains whose queries share the application.")],
    trigger: stream_job.Trigger = NO_PAUSE,
    bootstrap_server: stream_job.BootstrapServer = None,
    fix_topics: stream_job.FixTopics = False,
) -> None:
    """Run the streaming queries of the domains until SIGTERM, which finishes the batches and exits 0."""
    stop = StopSignal().listen()
    loaded = discovery.load_all(domains)
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    spark = spark_session(f"{'-'.join(domain.name for domain in loaded)}-stream")
    executors.begin(spark)
    queries = build_all(loaded, bootstrap_servers, fix_topics)
    build_one = functools.partial(build_again, bootstrap_servers)
    SharedRunner(spark, bootstrap_servers, stop, build_one).run(queries, trigger)


def build_all(domains: Sequence[Domain], bootstrap_servers: str, fix_topics: bool = False) -> list[Query]:
    """The queries of the domains. A domain that cannot build its own is reported; raises its error if none can.

    An error that waiting heals is raised at once: the supervisor starts the process again until it is gone.
    """
    queries: list[Query] = []
    errors: list[Exception] = []
    for domain in domains:
        try:
            topic_settings.begin(bootstrap_servers, domain.topics, fix_topics)
            queries += build(domain, bootstrap_servers)
        except Exception as error:
            if failure_of(error) is Failure.HEALS:
                raise
            errors.append(error)
            _report_unbuilt(domain, error)
    if errors and not queries:
        raise errors[0]
    return queries


def build(domain: Domain, bootstrap_servers: str) -> list[Query]:
    """What the scripts of the domain's streams build with `queries(bootstrap_servers)`, without options.

    Of each script those that its process declares: two processes may run one script with other queries.
    """
    return [
        query
        for process in domain.shared_streams
        for query in discovery.job_module(domain, process.job).queries(bootstrap_servers)
        if query.name in process.queries
    ]


def build_again(bootstrap_servers: str, query: Query) -> Query:
    """The query as its domain builds it now."""
    return next(
        each for each in build(discovery.load(query.domain), bootstrap_servers) if each.full_name == query.full_name
    )


def _report_unbuilt(domain: Domain, error: Exception) -> None:
    _, sentence = entry.explain(error)
    state = QueryState.REFUSED if isinstance(error, RefusedError) else QueryState.FAILED
    log.error("queries cannot be built", domain=domain.name, error=sentence)
    for query in [query for process in domain.shared_streams for query in process.queries]:
        written = {"written_at": datetime.now(UTC).isoformat(), "format": run_state.FORMAT}
        values = {"state": state, "error": sentence, "last_error": sentence, "restarts": 0, **written}
        run_state.write_json(run_state.progress_file(domain.name, query), values)


if __name__ == "__main__":
    entry.run(main)
