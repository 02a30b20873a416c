"""Sorts the rows of a large table by what is searched for, when its small files become larger ones.

A search then opens one small group of rows in each file. The newest rows stay in the files in which they came: pages
show them, and would have to read a sorted file as a whole for them.
"""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from deltalake import DeltaTable

from lakehouse.tables import appended, own_commit, table_io
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PREFIX = "by"  # of a sorted file's name, before the columns
LARGEST = 128 * 1024 * 1024  # bytes of the files that become one; a sorted one of half of it stays
ASIDE = "_sorting-"  # of the folder where Spark writes it
GROUP_ROWS = 20_000  # that a search reads at once
NEWEST_ROWS, NEWEST_FILES = 10_000, 20  # that stay as they came
STATISTICS = "delta.dataSkippingStatsColumns"


def can_cluster(table: Table, delta: DeltaTable) -> bool:
    """Whether the table is to be sorted, and has nothing that only Spark's Delta knows how to write."""
    known = {field.name for field in delta.schema().fields} <= set(table.columns)
    plain = delta.protocol().min_writer_version <= 2 and not delta.metadata().partition_columns
    return bool(table.clustered_by) and known and plain


def cluster(spark: "SparkSession", table: Table) -> tuple[int, int]:
    """Replace small or unsorted files by larger sorted ones; returns how many files became how many.

    Each new file is a commit of its own, which changes no rows. Raises ConcurrentError.
    """
    for left in table.path.glob(f"{ASIDE}*"):  # by a run that was killed
        shutil.rmtree(left)
    delta, removed, added = DeltaTable(table.path), 0, 0
    for old in _bins(table, appended.files(delta)):
        new = _sorted(spark, table, old)
        try:
            _replace(table, delta, old, new)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        removed, added = removed + len(old), added + 1
    return removed, added


def _replace(table: Table, delta: DeltaTable, old: pd.DataFrame, new: Path) -> None:
    statistics = table.properties[STATISTICS].split(",")
    own_commit.replace(delta, [str(path) for path in old["path"]], [new], statistics, str(list(table.clustered_by)))


def _bins(table: Table, listed: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Files that become one each, the oldest first."""
    is_sorted = listed["path"].str.startswith(_prefix(table))
    listed = listed.assign(is_sorted=is_sorted)[~(is_sorted & (listed["size_bytes"] >= LARGEST / 2))]
    small = _older(listed.sort_values("modification_time", kind="stable"))
    places = small["size_bytes"].cumsum() // LARGEST
    for _place, files in small.groupby(places):
        if len(files) > 1 or not files["is_sorted"].all():
            yield files


def _older(listed: pd.DataFrame) -> pd.DataFrame:
    """All but the newest unsorted files that have few rows together."""
    newest = listed[~listed["is_sorted"]][::-1]
    few = (newest["num_records"].cumsum() <= NEWEST_ROWS) & (pd.Series(range(len(newest)), newest.index) < NEWEST_FILES)
    return listed.drop(newest.index[few])


def _prefix(table: Table) -> str:
    return f"{PREFIX}-{'-'.join(table.clustered_by)}-"


def _sorted(spark: "SparkSession", table: Table, old: pd.DataFrame) -> Path:
    """A new file in the table's folder, in no version of it yet."""
    rows = table_io.read_files(spark, table, appended.paths(table.path, old))
    aside = table.path / f"{ASIDE}{uuid.uuid4()}"
    try:
        _write(rows.coalesce(1).sortWithinPartitions(*table.clustered_by), aside)
        (part,) = aside.glob("*.parquet")
        new = table.path / f"{_prefix(table)}{uuid.uuid4()}.parquet"
        part.replace(new)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return new


def _write(rows: "DataFrame", folder: Path) -> None:
    name = "spark.sql.parquet.outputTimestampType"
    spark, before = rows.sparkSession, rows.sparkSession.conf.get(name)
    spark.conf.set(name, "TIMESTAMP_MICROS")  # of Spark's own type a group of rows has no lowest and highest
    try:
        rows.write.option("parquet.block.row.count.limit", GROUP_ROWS).parquet(str(folder))
    finally:
        spark.conf.set(name, before or "INT96")
