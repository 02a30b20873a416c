"""The history query, which every domain has: writes each record of the topic once, to history or dead letters."""

from collections.abc import Callable, Sequence

from pyspark.sql import DataFrame

from lakehouse.contract.domain import Domain
from lakehouse.contract.tables import Table
from lakehouse.core import kill_points
from lakehouse.events import rules
from lakehouse.events.reader import PLACE, RECORD
from lakehouse.streaming.batch import Batch, without_stored
from lakehouse.streaming.query import Query
from lakehouse.tables import table_io

Read = Callable[[DataFrame, Sequence[str]], DataFrame]
FEW = 100_000  # records that go into one file


class HistorySink:
    """Valid events into the first table, the other records into the second, in two Delta transactions.

    The guard: both carry the checkpoint's id and the batch's number, so Spark's Delta skips what it has.
    """

    def __init__(self, tables: tuple[Table, ...], read: Read) -> None:
        self.tables = tables
        self._read = read

    def write(self, records: DataFrame, batch: Batch) -> None:
        """Append a batch of Kafka records; dead letters only when it has some.

        Bytes are kept for dead letters alone: to copy them back from Python costs a third of an event's reading.
        """
        history, letters = self.tables
        events = rules.valid_events(self._read(records, PLACE), history)
        good = without_stored(events, batch, self.tables)
        rows = table_io.append_batch(_one_file(good, batch), history, batch.app_id, batch.batch_id)
        kill_points.point(f"{batch.query}.appended", batch.batch_id)
        if rows != batch.records:  # some are none, were stored before, or the batch has been written already
            others = rules.dead_letters(self._read(records, tuple(RECORD)))
            bad = without_stored(others, batch, self.tables)
            table_io.append_batch(_one_file(bad, batch), letters, batch.app_id, batch.batch_id)


def history_query(domain: Domain, read: Read, trigger_interval: str) -> Query:
    """`read` makes a row of each record: the history's columns, what is kept of the record, and `reason`."""
    tables = domain.query_tables["history"]
    sink = HistorySink(tables.record_tables, read)
    return Query(domain.name, "history", _as_it_is, sink.write, "append", tables, trigger_interval=trigger_interval)


def _as_it_is(records: DataFrame) -> DataFrame:
    return records


def _one_file(frame: DataFrame, batch: Batch) -> DataFrame:
    return frame.coalesce(1) if batch.records < FEW else frame
