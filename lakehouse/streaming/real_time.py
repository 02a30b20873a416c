"""Runs a query in real-time mode: with a lock, start checks, restarts and progress as other queries have them.

It has a process and a Spark application of its own. A stop ends the batch without a commit: what was answered since the
last one is answered again at the next start.
"""

import itertools
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse.contract.domain import QueryTables
from lakehouse.core import kill_points, processes, run_state
from lakehouse.core.locks import exclusive
from lakehouse.core.states import QueryState
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.spark.session import stop_jvm
from lakehouse.streaming import checkpoints, progress_metrics, real_time_query, sidecar, start_checks
from lakehouse.streaming.answer_latency import LatencyMeter
from lakehouse.streaming.managed_query import ManagedQuery
from lakehouse.streaming.real_time_query import RealTimeQuery

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

log = structlog.get_logger()
TICK = 0.2
LOOK_EVERY = 5  # ticks between two looks at the model and two reports
TRY_AGAIN = 30.0  # seconds after which a model that could not be used is tried again


class RealTimeRunner:
    """Keeps one real-time query running until a stop signal, with the model that is live."""

    def __init__(self, spark: "SparkSession", bootstrap_servers: str, stop: StopSignal, query: RealTimeQuery) -> None:
        self._spark, self._bootstrap_servers, self._stop, self._query = spark, bootstrap_servers, stop, query
        self._java = getattr(spark.sparkContext._gateway, "proc", None)
        self._managed = ManagedQuery(query.full_name, self._start)
        self._recorder = progress_metrics.Recorder(query.full_name)
        self._planned: tuple[str, DataFrame] | None = None
        self._version = ""
        self._partitions = 0
        self._starts: Offsets = {}
        self._model_error, self._try_again_at = "", 0.0

    def run(self) -> None:
        """Run until a stop signal. Raises what refuses the first start, LakeError when the query fails for good."""
        query = self._query
        with exclusive(query.checkpoint.with_suffix(".lock"), f"Query {query.full_name}"):
            self._end_orphan()
            if self._java is not None:
                kill_points.arm(self._java.pid)
            run_state.write_spark_ui(f"{query.domain}.{query.name}", self._spark.sparkContext.uiWebUrl)
            self._managed.begin()
            meter = LatencyMeter(self._bootstrap_servers, query.answers.name, self._answer_partitions())
            try:
                self._watch(meter)
            finally:
                meter.close()
            if self._managed.stream is not None and self._managed.active:
                self._managed.stream.stop()
            stop_jvm(self._spark)
        if self._managed.ended and self._managed.error and not self._stop.requested:
            raise self._managed.error

    def _end_orphan(self) -> None:
        """End the Java process of a run before whose Python was killed: it would go on answering for a moment."""
        file = run_state.java_file(self._query.full_name)
        known = run_state.read_json(file)
        if orphan := processes.find(known.get("pid"), known.get("create_time")):
            orphan.kill()
            orphan.wait(10)
        if self._java is not None:
            own = {"pid": self._java.pid, "create_time": processes.create_time(self._java.pid)}
            run_state.write_json(file, {"format": run_state.FORMAT, **own})

    def _answer_partitions(self) -> list[int]:
        return list(range(topics.partitions(self._bootstrap_servers, self._query.answers.name)))

    def _start(self) -> "StreamingQuery":
        query, fix = self._query, "Create it, or restart the query, which does so."
        found = topics.existing(self._bootstrap_servers, [query.requests.name], fix)
        self._partitions = len(found.ends)
        real_time_query.check_slots(self._spark, query, self._partitions)
        rests_on, tables = {**query.depends_on, "answers": query.answers.name}, QueryTables((query.requests,))
        start = start_checks.Start(query.domain, query.name, query.checkpoint, tables, rests_on, found)
        self._starts = {**found.starts, **start_checks.check(start).starts}  # Spark wants every partition named
        (self._version, frame), self._planned = self._planned or self._plan(), None
        return real_time_query.writer(frame, self._bootstrap_servers, query).start()

    def _plan(self) -> "tuple[str, DataFrame]":
        """The live version, and the answers as its model makes them. The version first: a later one is seen later."""
        version = self._query.version()
        records = real_time_query.read_requests(self._spark, self._bootstrap_servers, self._query, self._starts)
        return version, real_time_query.answers(self._query, records)

    def _watch(self, meter: LatencyMeter) -> None:
        """Tend the query until asked to stop or it has failed for good."""
        from py4j.protocol import Py4JError

        for tick in itertools.count():
            try:
                changed = self._managed.poll()
                if tick % LOOK_EVERY == 0:
                    self._follow_model()
                if changed or tick % LOOK_EVERY == 0:
                    self._report(meter)
            except Py4JError:
                self._raise_if_java_ended()
                raise
            self._raise_if_java_ended(0)
            if self._stop.requested or self._managed.ended:
                return
            time.sleep(TICK)

    def _raise_if_java_ended(self, wait: float = 2.0) -> None:
        """Raise LakeError when Spark's Java has ended: no query can be started again here."""
        with suppress(subprocess.TimeoutExpired):
            if self._java is not None and self._java.wait(wait) is not None:
                what = "Spark's Java process has ended."
                raise LakeError(what, "Start the query again; under `lake up` that happens by itself.")

    def _follow_model(self) -> None:
        """Restart the query when another model is live. Until the new plan stands, the old one goes on answering."""
        if not self._managed.active:
            return  # the next start takes the live model
        try:
            version = self._query.version()
            if version == self._version or time.monotonic() < self._try_again_at:
                return
            self._planned = self._plan()
        except Exception as error:
            self._model_error = f"The model that is live cannot be used, {self._version} goes on: {error}"
            self._try_again_at = time.monotonic() + TRY_AGAIN
            log.error("live model cannot be used", query=self._query.full_name, error=str(error))
            return
        self._model_error = ""
        log.info("query takes up another version", query=self._query.full_name, old=self._version, new=version)
        assert self._managed.stream is not None
        self._managed.stream.stop()
        self._managed.again()

    def _report(self, meter: LatencyMeter) -> None:
        """Write the progress for other processes, once the query is at work or has an error."""
        if not self._at_work() and not self._managed.error:
            return
        self._note_generation()
        latency, answered, last = meter.latency(), meter.answered(), meter.last_answer_at()
        offsets = [[topic, partition, offset] for (topic, partition), offset in sorted(answered.items())]
        ours = {"trigger": self._query.trigger, "answered": offsets, "version": self._version}
        values: dict[str, Any] = self._managed.progress() | ours
        values["last_error"] = self._model_error or values["last_error"]
        values["latency_ms"] = latency._asdict() if latency else None
        values["answered_at"] = last.isoformat() if last else None
        try:
            run_state.write_json(run_state.progress_file(self._query.domain, self._query.name), values)
        except OSError:  # a full disk must not end a stream
            return
        if self._managed.state is QueryState.RUNNING:
            quantiles = {"p50_ms": latency.p50, "p95_ms": latency.p95} if latency else {}
            self._recorder.record(progress_metrics.of_progress(values) | {"seconds": None} | quantiles)

    def _at_work(self) -> bool:
        """Whether each partition's task runs."""
        if not self._managed.active:
            return False
        tracker = self._spark.sparkContext.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return any(stage is not None and stage.numActiveTasks >= self._partitions for stage in stages)

    def _note_generation(self) -> None:
        """Note the id of a new checkpoint beside it: from here on another checkpoint is refused."""
        checkpoint = self._query.checkpoint
        beside = sidecar.read(checkpoint)
        if beside is not None and not beside.generation and (checkpoint / "metadata").exists():
            sidecar.write(checkpoint, replace(beside, generation=checkpoints.generation(checkpoint)))
