"""Pinned versions of Delta tables, read in slices: what an audit compares with the topic."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse.kafka.offset_ranges import OffsetRange, TopicPartition
from lakehouse.streaming import checkpoints
from lakehouse.tables import schema_changes, table_io
from lakehouse.tables.table_io import Table

NO_TABLE = -1


class TableVersion:
    """One version of a table; a table that does not exist has no rows and version NO_TABLE."""

    def __init__(self, table: Table, version: int | None = None) -> None:
        self.table = table
        there = version != NO_TABLE and table_io.exists(table)
        self.delta = DeltaTable(table.path, version=version) if there else None
        self.version = self.delta.version() if self.delta else NO_TABLE

    def scan(self, columns: Sequence[str], where: pc.Expression | None = None) -> Iterator[pa.Table]:
        """Columns of the rows for which `where` holds, some ten thousand at a time, in the table's types."""
        if self.delta is None:
            return
        schema = pa.schema([self.table.arrow_schema.field(name) for name in columns])
        rows = schema_changes.dataset(self.table, self.delta)
        for batch in rows.scanner(columns=list(columns), filter=where, batch_size=65_536).to_batches():
            if batch.num_rows:
                yield pa.Table.from_batches([batch]).cast(schema)

    def read(self, columns: Sequence[str], where: pc.Expression | None = None) -> pa.Table:
        """The same as one table."""
        schema = pa.schema([self.table.arrow_schema.field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *self.scan(columns, where)])

    def last(self, generation: str, query: str) -> int | None:
        """The last batch of a generation of the query that changed this version."""
        return self.delta.transaction_version(checkpoints.app_id(generation, query)) if self.delta else None


def within(ranges: Mapping[TopicPartition, OffsetRange]) -> pc.Expression:
    """Rows whose coordinates lie in the ranges (end exclusive)."""
    by_topic: dict[str, pc.Expression] = {}
    for (topic, partition), (start, end) in ranges.items():
        inside = (pc.field("offset") >= start) & (pc.field("offset") < end)
        either = by_topic.get(topic, pc.scalar(False))
        by_topic[topic] = either | ((pc.field("partition") == partition) & inside)
    any_topic = pc.scalar(False)
    for topic, inside in by_topic.items():
        any_topic = any_topic | ((pc.field("topic") == topic) & inside)
    return any_topic


def by_partition(rows: pa.Table) -> dict[TopicPartition, pa.Table]:
    """The rows of each partition of each topic."""
    parts: dict[TopicPartition, pa.Table] = defaultdict(lambda: rows.slice(0, 0))
    for topic, of_topic in _by_value(rows, "topic"):
        for partition, of_partition in _by_value(of_topic, "partition"):
            parts[topic, partition] = of_partition
    return parts


def _by_value(rows: pa.Table, column: str) -> Iterator[tuple[Any, pa.Table]]:
    """The rows of each value of a column; rows that all have one value are not copied."""
    values = pc.unique(rows[column]).to_pylist()
    for value in values:
        yield value, rows if len(values) == 1 else rows.filter(pc.equal(rows[column], value))
