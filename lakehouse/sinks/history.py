"""The history query, which every domain has: writes each record of the topic once, to history or dead letters."""

import time
from collections.abc import Callable

import structlog
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.observation import Observation

from lakehouse.contract.domain import Domain
from lakehouse.contract.tables import Table
from lakehouse.core import kill_points
from lakehouse.streaming.batch import Batch, without_stored
from lakehouse.streaming.query import Query
from lakehouse.tables import table_io

Rule = Callable[[DataFrame], DataFrame]
FEW = 100_000  # records that go into one file
PATIENCE = 5.0  # seconds for Spark's count of invalid records, which comes some milliseconds after the write
log = structlog.get_logger()


class HistorySink:
    """Valid events into the first table, the other records into the second, in two Delta transactions.

    The guard: both carry the checkpoint's id and the batch's number, so Spark's Delta skips what it has.
    """

    def __init__(self, tables: tuple[Table, ...], valid: Rule, dead: Rule, is_valid: Column) -> None:
        self.tables = tables
        self._valid, self._dead, self._is_valid = valid, dead, is_valid

    def write(self, frame: DataFrame, batch: Batch) -> None:
        """Append the batch of parsed records; dead letters only when it has some."""
        history, letters = self.tables
        seen = Observation()
        observed = frame.observe(seen, F.count(F.when(~self._is_valid, 1)).alias("invalid"))
        good = without_stored(self._valid(observed), batch, self.tables)
        is_new = table_io.append_batch(_one_file(good, batch), history, batch.app_id, batch.batch_id)
        kill_points.point(f"{batch.query}.appended", batch.batch_id)
        if not is_new or may_have_invalid(seen):  # of a batch that was skipped, nothing has been seen
            bad = without_stored(self._dead(frame), batch, self.tables)
            table_io.append_batch(_one_file(bad, batch), letters, batch.app_id, batch.batch_id)


def may_have_invalid(seen: Observation) -> bool:
    """Whether the observed batch has invalid records; True, too, when Spark does not say so within PATIENCE.

    Spark passes observed numbers on by a listener, whose notice can be lost: `Observation.get` then waits for ever.
    """
    until = time.monotonic() + PATIENCE
    while seen._jo is not None and not seen._jo.future().isCompleted():
        if time.monotonic() > until:
            log.warning("spark has not counted the invalid records", fix="none: the batch is searched for them")
            return True
        time.sleep(0.002)
    return bool(seen.get.get("invalid", True))


def history_query(
    domain: Domain, parse: Rule, valid: Rule, dead: Rule, is_valid: Column, trigger_interval: str
) -> Query:
    """`parse` makes rows of records, from which `valid` and `dead` select the events and the dead letters."""
    tables = domain.query_tables["history"]
    sink = HistorySink(tables.record_tables, valid, dead, is_valid)
    # Parsed in the streaming plan, which is built and analysed once; in `write` it cost half a second a batch.
    return Query(domain.name, "history", parse, sink.write, "append", tables, trigger_interval=trigger_interval)


def _one_file(frame: DataFrame, batch: Batch) -> DataFrame:
    return frame.coalesce(1) if batch.records < FEW else frame
