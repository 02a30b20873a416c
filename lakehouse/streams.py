"""Runs streaming queries: a checkpoint and a lock each, FAIR pools, batches that know their offsets, a clean stop."""

import functools
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse import checkpoints, kafka, metrics, sidecar, state, topics
from lakehouse.errors import LakeError
from lakehouse.locks import exclusive
from lakehouse.session import stop_jvm

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

log = structlog.get_logger()
NO_PAUSE = "0 seconds"


@dataclass(frozen=True)
class Batch:
    """A micro-batch of a query: which offsets it reads, with which watermark, and the id its writes are known by."""

    generation: str
    batch_id: int
    starts: checkpoints.Offsets
    ends: checkpoints.Offsets
    watermark: datetime | None

    @property
    def records(self) -> int:
        """How many records the batch reads."""
        return sum(end - self.starts.get(where, 0) for where, end in self.ends.items())


Write = Callable[["DataFrame", Batch], None]


@dataclass
class Query:
    """A streaming query to run: its frame, what it does with a batch, and what its state depends on."""

    domain: str
    name: str
    frame: "DataFrame"
    write: Write
    output_mode: str
    depends_on: dict[str, str] = field(default_factory=dict)
    pace: str = NO_PAUSE  # least time between batches when the trigger asks for none

    @property
    def checkpoint(self) -> Path:
        """The query's checkpoint folder."""
        return checkpoints.path(self.domain, self.name)

    @property
    def full_name(self) -> str:
        """<domain>.<query>, as it is called everywhere."""
        return f"{self.domain}.{self.name}"


def read_topic(spark: "SparkSession", bootstrap_servers: str, topic: str) -> "DataFrame":
    """The topic's records from its beginning, as a stream, without aborted transactions; lost offsets are an error."""
    options = {
        "kafka.bootstrap.servers": bootstrap_servers,
        "subscribe": topic,
        "startingOffsets": "earliest",
        "kafka.isolation.level": "read_committed",
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": "1000000",
        **kafka.spark_options(),
    }
    return spark.readStream.format("kafka").options(**options).load()


class StopSignal:
    """Whether SIGTERM or Ctrl-C has asked for the end. Made first thing, so that a signal during the start counts."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True  # a plain flag: taking a lock in a signal handler can wait for ever


class Runner:
    """Starts queries and stops them between two batches when asked to."""

    def __init__(self, spark: "SparkSession", bootstrap_servers: str, topic: str, stop: StopSignal) -> None:
        self._spark = spark
        self._stop = stop
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._written: dict[str, int] = {}
        self._writing: set[str] = set()
        self._recorders: dict[str, metrics.Recorder] = {}
        self._trigger = NO_PAUSE

    def run(self, queries: Sequence[Query], trigger: str) -> None:
        """Run until stopped by SIGTERM or Ctrl-C, or, with trigger `available-now`, until all that was there is done.

        Raises LakeError when a query fails; the others are then stopped between two batches.
        """
        self._trigger = trigger
        with ExitStack() as locks:
            for query in queries:
                locks.enter_context(exclusive(query.checkpoint.with_suffix(".lock"), f"Query {query.full_name}"))
                sidecar.check(query.checkpoint, query.full_name, self._dependencies(query))
            running = []
            for query in queries:
                state.write_json(state.spark_file(query.domain), {"ui": self._spark.sparkContext.uiWebUrl})
                running.append((query, self._start(query, trigger)))
                if query is not queries[-1]:
                    self._await_first_batch(running[-1][1])
            failed = self._watch(running)
            self._quiesce(queries)
            stop_jvm(self._spark)
        if failed:
            raise failed

    def _await_first_batch(self, stream: "StreamingQuery", at_most: float = 30.0) -> None:
        """Let a query warm up alone: two cold queries on few cores both take twice as long to their first batch."""
        until = time.monotonic() + at_most
        while stream.isActive and stream.lastProgress is None and not self._stop.asked and time.monotonic() < until:
            time.sleep(0.05)

    def _dependencies(self, query: Query) -> dict[str, str]:
        found = topics.state(self._bootstrap_servers, self._topic)
        return {**query.depends_on, "topic": self._topic, "topic id": found.topic_id if found else ""}

    def _start(self, query: Query, trigger: str) -> "StreamingQuery":
        self._spark.sparkContext.setLocalProperty("spark.scheduler.pool", query.full_name)
        writer = query.frame.writeStream.queryName(query.full_name).outputMode(query.output_mode)
        writer = writer.option("checkpointLocation", str(query.checkpoint))
        writer = writer.foreachBatch(functools.partial(self._batch, query))
        if trigger == "available-now":
            return writer.trigger(availableNow=True).start()
        return writer.trigger(processingTime=self._pace(query)).start()

    def _pace(self, query: Query) -> str:
        return query.pace if self._trigger == NO_PAUSE else self._trigger

    def _batch(self, query: Query, frame: "DataFrame", batch_id: int) -> None:
        self._writing.add(query.full_name)
        try:
            if self._stop.asked:
                self._writing.discard(query.full_name)
                threading.Event().wait()  # the batch before is committed, this one has written nothing: the end
            query.write(frame, describe_batch(query.checkpoint, batch_id))
            self._written[query.full_name] = batch_id
        finally:
            self._writing.discard(query.full_name)

    def _watch(self, running: list[tuple[Query, "StreamingQuery"]]) -> LakeError | None:
        """Report progress each second until asked to stop or all have ended; the error of a query that failed."""
        for tick in itertools.count():
            active = [query for _, query in running if query.isActive]
            for query, stream in running:
                if tick % 5 == 0 or not active:
                    self._report(query, stream)
                if error := stream.exception():
                    log.error("query failed", query=query.full_name, error=str(error))
                    failed = query_failed(query, str(error))
                    self._report(query, stream, str(failed))
                    return failed
            if self._stop.asked or not active:
                break
            time.sleep(0.2)
        return None

    def _report(self, query: Query, active: "StreamingQuery", error: str = "") -> None:
        """Tell the last progress to other processes, and add it to the query's history."""
        progress = active.lastProgress
        if progress is None and not error:
            return
        values: dict[str, Any] = json.loads(progress.json) if progress else {}
        values |= {"written_at": datetime.now(UTC).isoformat(), "trigger": self._pace(query), "error": error}
        state.write_json(state.progress_file(query.domain, query.name), values)
        recorder = self._recorders.setdefault(query.full_name, metrics.Recorder(query.full_name))
        recorder.record(metrics.of_progress(values))

    def _quiesce(self, queries: Sequence[Query], grace: float = 60.0) -> None:
        """Wait until every batch that has written is committed; later ones are held before they write."""
        self._stop.asked = True
        until = time.monotonic() + grace
        while time.monotonic() < until and not all(self._is_quiet(query) for query in queries):
            time.sleep(0.02)

    def _is_quiet(self, query: Query) -> bool:
        if query.full_name in self._writing:
            return False
        written = self._written.get(query.full_name)
        return written is None or (query.checkpoint / "commits" / str(written)).exists()


def describe_batch(checkpoint: Path, batch_id: int) -> Batch:
    """The batch's offsets and watermark from the checkpoint, where Spark writes them before the batch runs."""
    plan, before = checkpoints.plan(checkpoint, batch_id), checkpoints.plan(checkpoint, batch_id - 1)
    starts = {where: before.ends.get(where, 0) for where in plan.ends}
    return Batch(checkpoints.generation(checkpoint), batch_id, starts, plan.ends, plan.watermark)


def query_failed(query: Query, error: str) -> LakeError:
    """A query's failure as a sentence: the known cause, else the last cause in Spark's chain."""
    from lakehouse.entry import explain

    code, sentence = explain(Exception(error))
    if code == 69:
        return LakeError(
            f"Query {query.full_name} stopped: {sentence}", "It goes on where it stopped at the next start."
        )
    causes = [line.strip() for line in error.splitlines() if "Error" in line or "Exception" in line]
    return LakeError(
        f"Query {query.full_name} stopped: {(causes or [error])[-1][:400]}", "`lake logs` has the whole of it."
    )


def offsets_log(batch: Batch) -> list[dict[str, Any]]:
    """The batch as rows of a batch log, one per partition: offsets (end exclusive) and watermark."""
    return [
        {
            "generation": batch.generation,
            "batch_id": batch.batch_id,
            "topic": topic,
            "partition": partition,
            "start_offset": batch.starts[(topic, partition)],
            "end_offset": end,
            "watermark": batch.watermark,
            "committed_at": datetime.now(UTC),
        }
        for (topic, partition), end in sorted(batch.ends.items())
    ]
