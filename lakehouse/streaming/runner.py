"""Runs streaming queries: each has a checkpoint, a lock and its kind's pool; a stop ends them between two batches."""

import functools
import itertools
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse.core import kill_points, run_state
from lakehouse.core.locks import exclusive
from lakehouse.core.states import QueryState
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.spark.session import ZONE, stop_jvm
from lakehouse.streaming import checkpoints, progress_metrics, start_checks
from lakehouse.streaming.batch import describe_batch
from lakehouse.streaming.managed_query import ManagedQuery
from lakehouse.streaming.query import NO_PAUSE, Query, read_topics
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import table_io

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

log = structlog.get_logger()


class Runner:
    """Keeps queries running, and stops them between two batches on a stop signal."""

    def __init__(
        self, spark: "SparkSession", bootstrap_servers: str, stop: StopSignal, most: int | None = None
    ) -> None:
        self._spark = spark
        self._stop = stop
        self._bootstrap_servers = bootstrap_servers
        self._most = most
        self._written: dict[str, int] = {}
        self._writing: set[str] = set()
        self._recorders: dict[str, progress_metrics.Recorder] = {}
        self._trigger = NO_PAUSE
        self._java = getattr(spark.sparkContext._gateway, "proc", None)

    def run(self, queries: Sequence[Query], trigger: str) -> None:
        """Run until a stop signal or, with trigger `available-now`, until all records now on the topics are processed.

        A query that fails is restarted while the others run. Raises RefusedError when a start would lose or
        double data, LakeError when all have ended and one of them has failed.
        """
        self._trigger = trigger
        if self._java is not None:
            kill_points.arm(self._java.pid)
        with ExitStack() as locks:
            managed = self._manage(queries, locks)
            for query, managed_query in managed:
                run_state.write_spark_ui(query.domain, self._spark.sparkContext.uiWebUrl)
                managed_query.begin()
                if query is not queries[-1]:
                    self._await_first_batch(managed_query)
            self._watch(managed)
            asked = self._stop.requested
            self._quiesce(managed)
            stop_jvm(self._spark)
        failed = [
            managed_query.error
            for _, managed_query in managed
            if managed_query.state in (QueryState.FAILED, QueryState.REFUSED) and managed_query.error
        ]
        if failed and not asked:
            raise failed[0]

    def _manage(self, queries: Sequence[Query], locks: ExitStack) -> list[tuple[Query, ManagedQuery]]:
        """The queries, locked until `locks` are closed. Raises RefusedError before the first one starts."""
        for query in queries:
            locks.enter_context(exclusive(query.lock, f"Query {query.full_name}"))
        for query in queries:
            self._check(query, self._session(query))
        return [(query, ManagedQuery(query.full_name, functools.partial(self._start, query))) for query in queries]

    def _await_first_batch(self, managed_query: ManagedQuery, at_most: float = 30.0) -> None:
        """Let a query warm up alone: two cold queries on few cores both take twice as long to their first batch."""
        until = time.monotonic() + at_most
        while managed_query.active and not self._stop.requested and time.monotonic() < until:
            if managed_query.stream is None or managed_query.stream.lastProgress is not None:
                return
            time.sleep(0.05)

    def _session(self, query: Query) -> "SparkSession":
        """The session whose settings the query runs with."""
        if not query.conf:
            return self._spark
        session = self._spark.newSession()
        for name, value in {ZONE: "UTC", **query.conf}.items():
            session.conf.set(name, value)
        return session

    def _check(self, query: Query, session: "SparkSession") -> tuple[start_checks.Start, Sidecar]:
        """What the query starts with. Raises RefusedError when the start would lose or double data."""
        tables, fix = query.query_tables, "Create it, or restart the stream, which does so."
        found = topics.existing(self._bootstrap_servers, tables.topic_names, fix)
        state_store = str(session.conf.get(checkpoints.STATE_STORE))
        start = start_checks.Start(
            query.domain, query.name, query.checkpoint, tables, dict(query.depends_on), found, state_store
        )
        return start, start_checks.check(start)

    def _start(self, query: Query) -> "StreamingQuery":
        session = self._session(query)
        start, begun = self._check(query, session)
        for table in query.query_tables.tables:
            table_io.create(table)
        starts = {**start.topics.starts, **begun.starts}  # Spark wants every partition named
        frame = query.plan(read_topics(session, self._bootstrap_servers, starts, self._most or query.most_records))
        if query.output_mode != "append":
            start_checks.check(replace(start, depends_on=start.depends_on | {"columns": frame.schema.simpleString()}))
        self._log_partitions(query, session)
        self._spark.sparkContext.setLocalProperty("spark.scheduler.pool", query.query_tables.pool)
        writer = frame.writeStream.queryName(query.full_name).outputMode(query.output_mode)
        writer = writer.option("checkpointLocation", str(query.checkpoint))
        writer = writer.foreachBatch(functools.partial(self._batch, query))
        if self._trigger == "available-now":
            return writer.trigger(availableNow=True).start()
        return writer.trigger(processingTime=self._trigger_of(query)).start()

    def _log_partitions(self, query: Query, session: "SparkSession") -> None:
        """Log how many partitions its state has: the setting at its first start fixes the number."""
        wanted = int(str(session.conf.get(checkpoints.SHUFFLE_PARTITIONS)))
        kept = checkpoints.state_partitions(query.checkpoint)
        if kept is not None and kept != wanted:
            fix = f"`lake rebuild {query.full_name}` rebuilds it with the setting"
            log.warning("state keeps its partitions", query=query.full_name, partitions=kept, setting=wanted, fix=fix)
        elif query.output_mode != "append":
            log.info("state has a fixed number of partitions", query=query.full_name, partitions=wanted)

    def _trigger_of(self, query: Query) -> str:
        return query.trigger_interval if self._trigger == NO_PAUSE else self._trigger

    def _batch(self, query: Query, frame: "DataFrame", batch_id: int) -> None:
        self._writing.add(query.full_name)
        try:
            if self._stop.requested:
                self._writing.discard(query.full_name)
                threading.Event().wait()  # this batch has written nothing, the one before is committed
            batch = describe_batch(query.checkpoint, batch_id)
            kill_points.point(f"{query.name}.before", batch_id)
            query.write(frame, batch)
            kill_points.point(f"{query.name}.written", batch_id)
            self._written[query.full_name] = batch_id
        finally:
            self._writing.discard(query.full_name)

    def _watch(self, managed: Sequence[tuple[Query, ManagedQuery]]) -> None:
        """Tend the queries and report their progress each second, until asked to stop or all have ended."""
        for tick in itertools.count():
            if self._java is not None and self._java.poll() is not None:  # no query can be started again here
                raise LakeError(
                    "Spark's Java process has ended.", "Start the stream again; under `lake up` that happens by itself."
                )
            for query, managed_query in managed:
                if managed_query.poll() or tick % 5 == 0:
                    self._report(query, managed_query)
            if self._stop.requested or all(managed_query.ended for _, managed_query in managed):
                break
            time.sleep(0.2)

    def _report(self, query: Query, managed_query: ManagedQuery) -> None:
        """Tell the last progress to other processes, and add it to the query's history."""
        values: dict[str, Any] = managed_query.progress() | {"trigger": self._trigger_of(query)}
        if "batchId" not in values and not values["last_error"]:
            return  # not yet at work: `lake up` waits for a first report
        try:
            run_state.write_json(run_state.progress_file(query.domain, query.name), values)
        except OSError:  # a full disk must not end a stream
            return
        if values["state"] != "running":
            return  # a gap: nobody reads or writes
        recorder = self._recorders.setdefault(query.full_name, progress_metrics.Recorder(query.full_name))
        recorder.record(progress_metrics.of_progress(values))

    def _quiesce(self, managed: Sequence[tuple[Query, ManagedQuery]], grace: float = 60.0) -> None:
        """Wait until every batch that has written is committed; later ones wait before they write."""
        self._stop.request()
        until = time.monotonic() + grace
        while time.monotonic() < until and not all(self._is_quiet(*each) for each in managed):
            time.sleep(0.02)

    def _is_quiet(self, query: Query, managed_query: ManagedQuery) -> bool:
        if not managed_query.active:
            return True
        if query.full_name in self._writing:
            return False
        written = self._written.get(query.full_name)
        return written is None or (query.checkpoint / "commits" / str(written)).exists()
