"""What the job of a real-time query does: the checks before Spark starts, and the run."""

from collections.abc import Callable

from lakehouse.contract.topics import Topic
from lakehouse.core.stop_signal import StopSignal
from lakehouse.kafka import topic_settings, topics
from lakehouse.settings import settings
from lakehouse.spark.session import spark_session
from lakehouse.streaming.real_time import RealTimeRunner
from lakehouse.streaming.real_time_query import RealTimeQuery


def run(
    build: Callable[[], RealTimeQuery],
    needed: tuple[Topic, ...],
    bootstrap_server: str | None = None,
    fix_topics: bool = False,
) -> None:
    """Run the query that `build` makes until SIGTERM, which exits 0; `needed` are its topics.

    Raises LakeError when broker or topics cannot be used, or when the query cannot start.
    """
    stop = StopSignal().listen()
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    topic_settings.begin(bootstrap_servers, needed, fix_topics)
    query = build()
    spark = spark_session(query.full_name)
    RealTimeRunner(spark, bootstrap_servers, stop, query).run()
