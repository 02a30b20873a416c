"""The history query, which every domain has: writes each record of the topic once, to history or dead letters."""

from collections.abc import Callable

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
        if not is_new or seen.get["invalid"]:  # of a batch that was skipped, nothing has been seen
            bad = without_stored(self._dead(frame), batch, self.tables)
            table_io.append_batch(_one_file(bad, batch), letters, batch.app_id, batch.batch_id)


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
