"""A table whose contract has changed: new columns are added to it, any other change is refused.

Older files do not have a new column; every reader fills it with nulls.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, Schema

from lakehouse.contract.arrow_types import spark_name, spark_type
from lakehouse.contract.tables import Table
from lakehouse.errors import RefusedError

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from pyspark.sql import DataFrame

KEYS = "lake.keys"  # the property of the table that has its key; tables of earlier versions get it at the next start
STATISTICS = "delta.dataSkippingStatsColumns"


def properties(table: Table) -> dict[str, str]:
    """The properties with which the table is created."""
    return {**table.properties, **key_property(table)}


def key_property(table: Table) -> dict[str, str]:
    """The property that says under which key the table is written."""
    return {KEYS: ",".join(table.keys)}


def is_current(table: Table, delta: DeltaTable) -> bool:
    """Whether the table has all columns, the statistics and the key of the contract.

    Raises RefusedError for any other change.
    """
    refuse_changes(table, delta)
    return not (missing_columns(table, delta) or _other_statistics(table, delta) or _lacks_key(table, delta))


def add_new_columns(table: Table, delta: DeltaTable) -> None:
    """Add the columns that the contract has and the table lacks, in one commit; for one process at a time.

    Files written later have the statistics that the contract names now.
    """
    lacking = set(missing_columns(table, delta))
    if added := [field for field in Schema.from_arrow(table.arrow_schema).fields if field.name in lacking]:
        delta.alter.add_columns(added)
    if statistics := _other_statistics(table, delta):
        delta.alter.set_table_properties({STATISTICS: statistics})
    if _lacks_key(table, delta):
        delta.alter.set_table_properties(key_property(table), raise_if_not_exists=False)  # it is ours, not Delta's


def _lacks_key(table: Table, delta: DeltaTable) -> bool:
    """Whether an earlier version made the table, without its key: later changes of the key would not be noticed."""
    return bool(table.keys) and KEYS not in delta.metadata().configuration


def _other_statistics(table: Table, delta: DeltaTable) -> str:
    """The statistics that the contract names, where the table has others."""
    wanted = table.properties.get(STATISTICS, "")
    return wanted if delta.metadata().configuration.get(STATISTICS) != wanted else ""


def refuse_changes(table: Table, delta: DeltaTable) -> None:
    """Raises RefusedError when the contract differs from the table in more than new columns."""
    stored = {field.name: spark_name(field.type) for field in pa.schema(delta.schema().to_arrow())}
    refuse_other_columns(table, stored, {name: spark_type(kind) for name, kind in table.columns.items()})
    metadata = delta.metadata()
    if keys := metadata.configuration.get(KEYS):
        refuse_other_key(table, keys.split(","))
    cut = tuple(metadata.partition_columns)
    if cut and cut != table.partition_by:  # tables of earlier versions may have no partitions
        what = f"partitions it by {_names(table.partition_by)}, the table is partitioned by {_names(cut)}"
        raise _refusal(table, what, "Declare the old partitions again")


def refuse_other_columns(table: Table, stored: Mapping[str, str], declared: Mapping[str, str], where: str = "") -> None:
    """Raises RefusedError when a stored column (name to type) is not declared, or has another type."""
    if removed := [name for name in stored if name not in declared]:
        raise _refusal(table, f"has no column {_names(removed)}, which the table has", "Declare it again", where)
    for name, kind in stored.items():
        if kind != declared[name]:
            what = f"says that {name} is {declared[name]}, in the table it is {kind}"
            fix = "Declare the old type again and add a column of another name for the new one"
            raise _refusal(table, what, fix, where)


def refuse_other_key(table: Table, stored: Sequence[str], where: str = "") -> None:
    """Raises RefusedError when the table was written under another key."""
    if set(stored) != set(table.keys):
        what = f"gives it the key {_names(table.keys)}, the table was written under {_names(stored)}"
        raise _refusal(table, what, "Declare the old key again", where)


def _refusal(table: Table, what: str, fix: str, where: str = "") -> RefusedError:
    return RefusedError(
        f"The contract of table {table.domain}.{table.name}{where} may only get new columns; it {what}.",
        f"{fix}, or write to a new table of another name.",
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def missing_columns(table: Table, delta: DeltaTable) -> list[str]:
    """The columns of the contract that the table lacks: its writer has not started since they were added."""
    existing = {field.name for field in delta.schema().fields}
    return [name for name in table.columns if name not in existing]


def dataset(table: Table, delta: DeltaTable) -> "ds.Dataset":
    """The table's rows with the columns of the contract, in its types; what a file lacks is null."""
    import pyarrow.dataset as ds  # imports pandas: a fifth of a second of a stream's start, which reads no table

    schema: Any = table.arrow_schema
    micros = ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")  # nanoseconds would end in 2262
    return delta.to_pyarrow_dataset(parquet_read_options=micros, schema=schema)


def filled(frame: "DataFrame", table: Table) -> "DataFrame":
    """A Spark DataFrame of the table with the columns of the contract; what the table lacks is null."""
    from pyspark.sql import functions as F

    lacking = {
        name: F.lit(None).cast(spark_type(kind)) for name, kind in table.columns.items() if name not in frame.columns
    }
    return frame.withColumns(lacking).select(*table.columns) if lacking else frame
