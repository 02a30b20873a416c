"""A declared table of averages and its batch counterpart, each compared with the events that it was made from."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from lakehouse.audit import conservation
from lakehouse.audit.batch_log import BatchLog
from lakehouse.audit.contract import Windows
from lakehouse.audit.pinned import TableVersion
from lakehouse.audit.results import Findings, ViewResult
from lakehouse.audit.window_sums import Speed, compare, distinct_sums, micros
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.streaming import checkpoints, event_reading, sidecar
from lakehouse.streaming.batch import describe_batch, offsets_log


class AveragesCheck:
    """Compares a table of averages with the events; make it before you ask for the topic's end."""

    def __init__(self, domain: str, declared: Windows, topics: Sequence[str]) -> None:
        self._declared, self._topics = declared, topics
        self.columns = declared.columns  # what `add` needs of a row of the history
        self._checkpoint = checkpoints.path(domain, declared.query)
        self.former_until = event_reading.former_until(self._checkpoint)
        recorded = sidecar.recorded(self._checkpoint)
        self._window = micros(recorded.get("window", declared.window))
        self._slide = micros(recorded.get("slide", recorded.get("window", declared.window)))
        before = TableVersion(declared.batch_log).read(["generation", "batch_id"])  # logged after the table was written
        speed = TableVersion(declared.speed)
        self._rows = speed.read(list(declared.speed.columns))
        self._batch = TableVersion(declared.batch)
        self._batch_rows = self._batch.read(list(declared.batch.columns))
        log = TableVersion(declared.batch_log).read(list(declared.batch_log.columns))
        generations = {*log["generation"].to_pylist(), *self._rows["generation"].to_pylist(), *self._current()}
        last = {name: _last(before, speed, name, declared.query) for name in generations if name is not None}
        log = pa.concat_tables([log, *(self._unlogged(log, *one) for one in last.items())])
        self._speed = Speed(BatchLog(log, topics, last), self._window, self._slide)

    def _current(self) -> set[str]:
        return {checkpoints.generation(self._checkpoint)} if (self._checkpoint / "metadata").exists() else set()

    def _unlogged(self, log: pa.Table, generation: str, last: int | None) -> pa.Table:
        """The batch that is in the table but not yet in the log, from the checkpoint: Spark wrote it there first."""
        empty = self._declared.batch_log.arrow_schema.empty_table()
        logged = zip(log["generation"].to_pylist(), log["batch_id"].to_pylist(), strict=True)
        if last is None or generation not in self._current() or (generation, last) in set(logged):
            return empty
        if not (self._checkpoint / "offsets" / str(last)).exists():
            return empty
        rows = offsets_log(describe_batch(self._checkpoint, last))
        return pa.Table.from_pylist(rows, schema=empty.schema)

    def add(self, where: TopicPartition, rows: pa.Table) -> None:
        """Count valid rows of a partition that the query reads."""
        if rows.num_rows and where[0] in self._topics:
            self._speed.add(where, conservation.offsets(rows), self._declared.facts(rows))

    def check(self, history: TableVersion) -> list[ViewResult]:
        """Compare both tables with their events; the batch rows were made from a version of `history`."""
        findings = compare(self._declared, self._speed.expected(), self._rows, self._window, "the topic")
        name, every = self._declared.speed.name, [*self._speed.log.findings.to_list(), *findings.to_list()]
        speed = ViewResult(name, self._rows.num_rows, self._speed.late, self._speed.waiting, findings=every)
        return [speed, self._check_batch(history)]

    def _check_batch(self, history: TableVersion) -> ViewResult:
        result, findings = ViewResult(self._declared.batch.name, self._batch_rows.num_rows), Findings()
        versions = np.unique(self._batch_rows["history_version"].to_numpy())
        if not len(versions):
            return replace(result, note="not recomputed yet")
        if len(versions) > 1:
            findings.add("history versions", [int(version) for version in versions], "one recomputation has one")
            return replace(result, findings=findings.to_list())
        version = int(versions[0])
        try:
            then = TableVersion(history.table, version)
            sums = distinct_sums(then, self._declared, self._window, self._slide)
        except (DeltaError, OSError):  # vacuumed, or its log entry is gone
            note = f"history version {version}, which it was made from, is gone: recompute again"
            return replace(result, note=note)
        source = f"history version {version}"
        findings = compare(self._declared, sums, self._batch_rows, self._window, source)
        return replace(result, history_version=version, findings=findings.to_list())


def _last(logged: pa.Table, speed: TableVersion, generation: str, query: str) -> int | None:
    """The last batch of the generation that is in the pinned table: one that was logged before, or that changed it."""
    batches = logged.filter(pc.equal(logged["generation"], generation))["batch_id"]
    known = [batch for batch in (pc.max(batches).as_py(), speed.last(generation, query)) if batch is not None]
    return max(known, default=None)
