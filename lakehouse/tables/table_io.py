"""Reading and writing Delta tables: the small ones without a JVM.

One table has one writer and one library. History is Spark's (`append_batch`); the small serving tables are written
with `deltalake` from the driver (`append`, `upsert`), 30 ms where a Spark MERGE takes 1.3 s.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyarrow.parquet import filters_to_expression

from lakehouse.contract.tables import HISTORY_PROPERTIES, SERVING_PROPERTIES, Table
from lakehouse.core.locks import waiting
from lakehouse.settings import settings
from lakehouse.tables import schema_changes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Declared where a schema can import them without Arrow; re-exported for those who read and write tables.
__all__ = ["HISTORY_PROPERTIES", "SERVING_PROPERTIES", "Table"]
COMPACTED_BYTES = 16 * 1024 * 1024  # larger files of a serving table are not compacted, so that it takes bounded time


def create(table: Table) -> DeltaTable:
    """The table for its writer: created empty when it does not exist yet, else with the contract's new columns added.

    Raises RefusedError when the contract has changed otherwise.
    """
    if exists(table) and schema_changes.is_current(table, delta := DeltaTable(table.path)):
        return delta
    # Delta itself lets two processes create a table twice.
    with waiting(settings().run / "creating" / f"{table.domain}.{table.name}.lock"):
        delta = _created(table)
        schema_changes.add_new_columns(table, delta)
        return delta


def _created(table: Table) -> DeltaTable:
    table.path.mkdir(parents=True, exist_ok=True)
    return DeltaTable.create(
        table.path,
        table.arrow_schema,
        mode="ignore",
        partition_by=list(table.partition_by),
        name=f"{table.domain}.{table.name}",
        description=table.about,
        configuration=schema_changes.properties(table),
        raise_if_key_not_exists=False,  # the key's property is ours, not Delta's
    )


def exists(table: Table) -> bool:
    """Whether the table exists."""
    return (table.path / "_delta_log").is_dir() and DeltaTable.is_deltatable(str(table.path))


def read(table: Table, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
    """Rows of the table's newest version; no rows when the table does not exist yet, nulls in columns it lacks."""
    names = list(columns or table.columns)
    if not exists(table):
        return table.arrow_schema.empty_table().select(names)
    where = filters_to_expression(filters) if filters else None
    return schema_changes.dataset(table, DeltaTable(table.path)).to_table(columns=names, filter=where)


def rows(table: Table, values: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Python rows as an Arrow table with the table's schema."""
    return pa.Table.from_pylist([dict(value) for value in values], schema=table.arrow_schema)


def committed(delta: DeltaTable, app_id: str, version: int) -> bool:
    """Whether this app has committed this version or a later one (deltalake records it, it does not enforce it)."""
    last = delta.transaction_version(app_id)
    return last is not None and last >= version


def append(delta: DeltaTable, data: pa.Table, app_id: str, version: int) -> bool:
    """Append once per (app_id, version); False when the table already has that version."""
    if committed(delta, app_id, version):
        return False
    write_deltalake(delta, data, mode="append", commit_properties=_transaction(app_id, version))
    return True


def upsert(delta: DeltaTable, data: pa.Table, keys: Sequence[str], app_id: str, version: int, bound: str = "") -> bool:
    """Merge rows by their keys, once per (app_id, version); False when the table already has that version.

    `bound` is a predicate on `target` that lets the merge skip old files.
    """
    if committed(delta, app_id, version):
        return False
    predicate = " AND ".join([f"target.{key} = source.{key}" for key in keys] + ([bound] if bound else []))
    merge = delta.merge(
        data, predicate, source_alias="source", target_alias="target", commit_properties=_transaction(app_id, version)
    )
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    return True


def upsert_or_delete(
    delta: DeltaTable, data: pa.Table, table: Table, deleted: str, order: Sequence[str], app_id: str, version: int
) -> bool:
    """As `upsert`, where the BOOLEAN column `deleted` removes the row of its key; it is no column of the table.

    A row of the table that is later by the columns `order` stays.
    """
    if committed(delta, app_id, version):
        return False
    values, newer = {name: f"source.{name}" for name in table.columns}, _not_older(order)
    merge = delta.merge(
        data,
        " AND ".join(f"target.{key} = source.{key}" for key in table.keys),
        source_alias="source",
        target_alias="target",
        commit_properties=_transaction(app_id, version),
    )
    merge.when_matched_delete(f"source.{deleted} AND {newer}").when_matched_update(
        values, f"NOT source.{deleted} AND {newer}"
    )
    merge.when_not_matched_insert(values, f"NOT source.{deleted}").execute()
    return True


def _not_older(order: Sequence[str]) -> str:
    """The predicate that a source row is not older than the target's: compared by one column after the other."""
    equal = [f"source.{name} = target.{name}" for name in order]
    later = [" AND ".join([*equal[:at], f"source.{name} > target.{name}"]) for at, name in enumerate(order)]
    return "(" + " OR ".join(f"({each})" for each in [*later, " AND ".join(equal)]) + ")"


def _transaction(app_id: str, version: int) -> CommitProperties:
    return CommitProperties(app_transactions=[Transaction(app_id, version)])


def maintain(
    delta: DeltaTable, only: Sequence[tuple[str, str, Any]] | None = None, keep: timedelta = timedelta(hours=1)
) -> None:
    """Compact a serving table's small files and delete those unused for longer than `keep`; for its one writer only.

    `only` names the partitions to compact.
    """
    delta.optimize.compact(partition_filters=list(only) if only else None, target_size=COMPACTED_BYTES)
    # `full`: the log, too, forgets files after `keep`; a vacuum by the log alone would miss them.
    delta.vacuum(int(keep.total_seconds() // 3600), dry_run=False, enforce_retention_duration=False, full=True)
    delta.create_checkpoint()
    delta.cleanup_metadata()


def append_batch(frame: "DataFrame", table: Table, app_id: str, batch_id: int) -> int | None:
    """Append a micro-batch with Spark, once per (app_id, batch_id): the number of its rows; None when the table already
    has it, or when the log does not say the number."""
    delta = DeltaTable(table.path)
    if committed(delta, app_id, batch_id):
        return None
    # Delta also skips the write when another process has just made it.
    writer = frame.select(*table.columns).write.format("delta").mode("append")
    writer.option("txnAppId", app_id).option("txnVersion", batch_id).save(str(table.path))
    return _rows_written(delta, app_id, batch_id)


def _rows_written(delta: DeltaTable, app_id: str, batch_id: int) -> int | None:
    """The rows of the newest write since this version of the table was loaded; None where there is none."""
    before = delta.version()
    delta.update_incremental()
    if delta.version() == before or not committed(delta, app_id, batch_id):
        return None
    for commit in delta.history(delta.version() - before):
        rows = commit.get("operationMetrics", {}).get("numOutputRows")
        if commit["operation"] == "WRITE" and rows is not None:
            return int(rows)
    return None


def overwrite(frame: "DataFrame", table: Table) -> None:
    """Replace the table's rows in one commit, with Spark."""
    create(table)
    frame.select(*table.columns).coalesce(1).write.format("delta").mode("overwrite").save(str(table.path))


def read_spark(spark: "SparkSession", table: Table) -> "DataFrame":
    """The table's newest version as a Spark DataFrame."""
    if not exists(table):
        create(table)
    return schema_changes.filled(spark.read.format("delta").load(str(table.path)), table)


def read_version(spark: "SparkSession", table: Table, version: int) -> "DataFrame":
    """That version of the table as a Spark DataFrame.

    `deltalake` names the files and Spark reads them: Spark's own first look at a Delta log takes a cold JVM 10 seconds.
    A table with deletion vectors, mapped columns or partitions is left to Spark's Delta reader, which knows them.
    """
    delta = DeltaTable(table.path, version=version)
    if delta.protocol().min_reader_version > 1 or delta.metadata().partition_columns:
        rows = spark.read.format("delta").option("versionAsOf", version).load(str(table.path))
        return schema_changes.filled(rows, table)
    return read_files(spark, table, [unquote(uri) for uri in delta.file_uris()])


def read_files(spark: "SparkSession", table: Table, files: Sequence[str | Path]) -> "DataFrame":
    """Data files of the table as a Spark DataFrame with the columns of the contract."""
    paths = [str(file) for file in files]
    return spark.read.schema(table.ddl).parquet(*paths) if paths else spark.createDataFrame([], table.ddl)
