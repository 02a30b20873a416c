"""A Delta table as a domain declares it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lakehouse.settings import settings

if TYPE_CHECKING:
    import pyarrow as pa


# Readers without a JVM cannot read deletion vectors. Log and unused files are kept for a week: `lake maintain`.
HISTORY_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
# A serving table gets several commits a second: keep one hour of its log.
SERVING_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.enableExpiredLogCleanup": "true",
}


@dataclass(frozen=True)
class Table:
    """A Delta table of a domain: its folder, its columns (name to SQL type), its key and its partitions.

    `columns` may grow: the writer's next start adds a new column to the table, older rows have nulls in it. Any other
    change is refused. `writer` is the only library that writes it; `lake maintain` maintains Spark's tables and sorts
    their rows by `clustered_by`.
    """

    domain: str
    name: str
    columns: Mapping[str, str]
    keys: tuple[str, ...]
    about: str
    properties: Mapping[str, str]
    partition_by: tuple[str, ...] = ()
    writer: Literal["spark", "deltalake"] = "spark"
    clustered_by: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The table's folder."""
        return settings().lake / self.domain / self.name

    @property
    def ddl(self) -> str:
        """The columns as Spark writes a schema."""
        from lakehouse.contract.arrow_types import spark_type

        return ", ".join(f"`{name}` {spark_type(kind)}" for name, kind in self.columns.items())

    @property
    def arrow_schema(self) -> "pa.Schema":
        """The columns as an Arrow schema."""
        from lakehouse.contract.arrow_types import arrow_schema

        return arrow_schema(self.columns)
