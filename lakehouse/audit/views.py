"""A declared table of averages and its batch counterpart, as they were pinned, and what they must hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from lakehouse.audit import conservation
from lakehouse.audit.contract import Windows
from lakehouse.audit.pinned import Pinned
from lakehouse.audit.results import Findings
from lakehouse.audit.window_sums import BatchLog, Speed, compare, distinct_sums, micros
from lakehouse.streaming import checkpoints, sidecar
from lakehouse.streaming.batch import describe_batch, offsets_log


class View:
    """The rows of a table of averages; made before the topic's end is asked for."""

    def __init__(self, domain: str, declared: Windows, topic: str) -> None:
        self._declared = declared
        self.columns = declared.columns  # what `add` needs of a row of the history
        self._checkpoint = checkpoints.path(domain, declared.query)
        recorded = sidecar.recorded(self._checkpoint)
        self._window = micros(recorded.get("window", declared.window))
        self._slide = micros(recorded.get("slide", recorded.get("window", declared.window)))
        before = Pinned(declared.batch_log).read(["generation", "batch_id"])  # logged after the table was written
        speed = Pinned(declared.speed)
        self._rows = speed.read(list(declared.speed.columns))
        self._batch = Pinned(declared.batch)
        self._batch_rows = self._batch.read(list(declared.batch.columns))
        log = Pinned(declared.batch_log).read(list(declared.batch_log.columns))
        generations = {*log["generation"].to_pylist(), *self._rows["generation"].to_pylist(), *self._born()}
        last = {name: _last(before, speed, name) for name in generations if name is not None}
        log = pa.concat_tables([log, *(self._unlogged(log, *one) for one in last.items())])
        self._speed = Speed(BatchLog(log, topic, last), self._window, self._slide)

    def _born(self) -> set[str]:
        return {checkpoints.generation(self._checkpoint)} if (self._checkpoint / "metadata").exists() else set()

    def _unlogged(self, log: pa.Table, generation: str, last: int | None) -> pa.Table:
        """The batch that is in the table and not yet in the log, from the checkpoint: Spark wrote it there first."""
        none = self._declared.batch_log.arrow_schema.empty_table()
        logged = zip(log["generation"].to_pylist(), log["batch_id"].to_pylist(), strict=True)
        if last is None or generation not in self._born() or (generation, last) in set(logged):
            return none
        if not (self._checkpoint / "offsets" / str(last)).exists():
            return none
        rows = offsets_log(describe_batch(self._checkpoint, last))
        return pa.Table.from_pylist(rows, schema=none.schema)

    def add(self, partition: int, rows: pa.Table) -> None:
        """Count valid rows of a partition."""
        if rows.num_rows:
            self._speed.add(partition, conservation.offsets(rows), self._declared.facts(rows))

    def told(self, history: Pinned) -> list[dict[str, Any]]:
        """Both tables as an audit's result has them; `history` says which table the batch rows were made from."""
        findings = compare(self._declared, self._speed.expected(), self._rows, self._window, "the topic")
        log = self._speed.log.findings.told()
        counts = {"late": self._speed.late, "waiting": self._speed.waiting}
        speed = _told(self._declared.speed.name, self._rows, findings, counts)
        speed["findings"] = [*log, *speed["findings"]]
        return [speed, self._batch_told(history)]

    def _batch_told(self, history: Pinned) -> dict[str, Any]:
        name, findings = self._declared.batch.name, Findings()
        versions = np.unique(self._batch_rows["history_version"].to_numpy())
        if not len(versions):
            return _told(name, self._batch_rows, findings, {}, "not recomputed yet")
        if len(versions) > 1:
            findings.add("history versions", [int(version) for version in versions], "one recomputation has one")
            return _told(name, self._batch_rows, findings, {})
        version = int(versions[0])
        try:
            then = Pinned(history.table, version)
            sums = distinct_sums(then, self._declared, self._window, self._slide)
        except (DeltaError, OSError):  # vacuumed, or its log entry is gone
            note = f"history version {version}, which it was made from, is gone: recompute again"
            return _told(name, self._batch_rows, findings, {}, note)
        source = f"history version {version}"
        findings = compare(self._declared, sums, self._batch_rows, self._window, source)
        return _told(name, self._batch_rows, findings, {"history_version": version})


def _last(logged: pa.Table, speed: Pinned, generation: str) -> int | None:
    """The last batch of the generation that is in the pinned table: one that was logged before, or that changed it."""
    batches = logged.filter(pc.equal(logged["generation"], generation))["batch_id"]
    known = [batch for batch in (pc.max(batches).as_py(), speed.last(generation)) if batch is not None]
    return max(known, default=None)


def _told(table: str, rows: pa.Table, findings: Findings, counts: Mapping[str, int], note: str = "") -> dict[str, Any]:
    return {"table": table, "rows": rows.num_rows, **counts, "note": note, "findings": findings.told()}
