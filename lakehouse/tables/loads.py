"""Loads rows of a Delta table for a page, without a JVM: the newest, those of a time span, those that match."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from lakehouse.tables import schema_changes
from lakehouse.tables.table_io import Table

# (table, its open Delta table, one row per data file with its statistics) -> rows
Loader = Callable[[Table, DeltaTable, pd.DataFrame], pa.Table]
# Spark may write timestamps as INT96, which overflows pyarrow's default nanoseconds after 2262.
PARQUET = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(coerce_int96_timestamp_unit="us"))


def recent(column: str, span: timedelta) -> Loader:
    """Loads the rows whose `column` is within `span` of the table's newest; an idle table keeps its last rows."""

    def load(table: Table, delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
        newest_at = highest(files, column)
        where = pc.field(column) >= newest_at - span if newest_at else None
        return schema_changes.dataset(table, delta).to_table(filter=where)

    return load


def recent_columns(column: str, span: timedelta, columns: Sequence[str]) -> Loader:
    """As `recent`, but only `columns`; opens only data files that can have such rows."""

    def load(table: Table, _delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
        newest_at = highest(files, column)
        if newest_at is None:
            return table.arrow_schema.empty_table().select(list(columns))
        holding = files[pd.to_datetime(files[f"max.{column}"], utc=True) >= newest_at - span]
        paths = [str(table.path / unquote(str(path))) for path in holding["path"]]
        dataset = ds.dataset(paths, schema=table.arrow_schema, format=PARQUET)
        return dataset.to_table(columns=list(columns), filter=pc.field(column) >= newest_at - span)

    return load


def matching(condition: pc.Expression, limit: int) -> Loader:
    """Loads at most `limit` of the rows for which `condition` holds."""

    def load(table: Table, delta: DeltaTable, _files: pd.DataFrame) -> pa.Table:
        return schema_changes.dataset(table, delta).scanner(filter=condition).head(limit)

    return load


def found_once(condition: pc.Expression, limit: int) -> Loader:
    """As `matching`, for a table that only grows: searches a data file once, and again only after a compaction."""
    searched: set[str] = set()
    matches: list[pa.Table] = []

    def load(table: Table, _delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
        paths = {str(table.path / unquote(str(path))) for path in files["path"]}
        if not searched <= paths:
            searched.clear()
            matches.clear()
        new = sorted(paths - searched)
        matches[:] = [pa.concat_tables([table.arrow_schema.empty_table(), *matches, *_matches(table, new, condition)])]
        searched.update(new)
        return matches[0].slice(0, limit)

    return load


def _matches(table: Table, paths: Sequence[str], condition: pc.Expression) -> Iterator[pa.Table]:
    """The rows of those files for which `condition` holds.

    Row groups that cannot have some, by their statistics, are not read; all columns only of those that have some.
    """
    for fragment in ds.dataset(list(paths), schema=table.arrow_schema, format=PARQUET).get_fragments():
        for group in fragment.split_by_row_group(filter=condition, schema=table.arrow_schema):
            if group.scanner(schema=table.arrow_schema, filter=condition).count_rows():
                yield group.to_table(schema=table.arrow_schema, filter=condition)


def newest(limit: int, columns: Sequence[str], order: str = "recorded_at") -> Loader:
    """Loads the `limit` rows with the highest `order`, newest first; opens only the files that can have them.

    Rows without a value in `order` (they never were on a topic) are left out. `columns` must have the coordinates.
    """

    def load(table: Table, _delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
        rows = table.arrow_schema.empty_table().select(list(columns))
        for file in _by_newest(files, order).itertuples():
            if rows.num_rows >= limit and file.bound < rows[order][-1].as_py():
                break
            more = _last_rows(table, table.path / unquote(str(file.path)), columns, order, limit)
            rows = pa.concat_tables([rows, more]).sort_by(_sort_keys(order)).slice(0, limit).combine_chunks()
        return rows

    return load


def _sort_keys(order: str) -> list[tuple[str, str]]:
    return [(order, "descending"), ("partition", "descending"), ("offset", "descending")]


def _last_rows(table: Table, path: Path, columns: Sequence[str], order: str, limit: int) -> pa.Table:
    """The rows of a file with the highest `order`, one row group at a time: a compacted file is large and unsorted."""
    rows = table.arrow_schema.empty_table().select(list(columns))
    for fragment in ds.dataset(str(path), schema=table.arrow_schema, format=PARQUET).get_fragments():
        for group in reversed(fragment.split_by_row_group()):
            group_rows = group.to_table(
                schema=table.arrow_schema, columns=list(columns), filter=pc.field(order).is_valid()
            )
            rows = pa.concat_tables([rows, group_rows]).sort_by(_sort_keys(order)).slice(0, limit)
    return rows


def read_file(table: Table, path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of one data file of the table, in the table's types, whichever library wrote it."""
    dataset = ds.dataset(str(path), schema=table.arrow_schema, format=PARQUET)
    return dataset.to_table(columns=list(columns))


def _by_newest(files: pd.DataFrame, order: str) -> pd.DataFrame:
    """Files with rows from a topic, newest first by the highest `order` they can have (at most their writing)."""
    written = pd.to_datetime(files["modification_time"], unit="ms", utc=True)
    highest_values = files.get(f"max.{order}", pd.Series(pd.NaT, files.index))
    bounded = files.assign(bound=pd.to_datetime(highest_values, utc=True).fillna(written))
    without = files["num_records"] == files.get("null_count.offset", -1)
    return bounded[~without].sort_values("bound", ascending=False)


def highest(files: pd.DataFrame, column: str) -> datetime | None:
    """The highest value of a column of times, from the files' statistics; None when they have none."""
    if f"max.{column}" not in files:
        return None
    value = pd.to_datetime(files[f"max.{column}"], utc=True).max()
    return None if pd.isna(value) else value.to_pydatetime()


def shape(_table: Table, delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
    """One row: files, bytes and the operation of the newest commit."""
    last = delta.history(1)
    operation = str(last[0].get("operation") or "") if last else ""
    sizes = files["size_bytes"] if "size_bytes" in files else pd.Series(dtype="int64")
    return pa.table({"files": [len(files)], "bytes": [int(sizes.sum())], "operation": [operation]})
