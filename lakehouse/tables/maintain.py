"""Maintenance of the large tables, a Spark job: compacts small files and deletes unused ones.

Tables that are searched by a column are sorted by it meanwhile. It may run beside the streams: appending and
compacting do not conflict. Serving tables are maintained by their writer.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import deltalake
import typer

from lakehouse import entry
from lakehouse.contract.discovery import load_all
from lakehouse.core.locks import exclusive
from lakehouse.settings import settings
from lakehouse.spark.session import collect, spark_session
from lakehouse.tables import cluster, table_io
from lakehouse.tables.table_io import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEEP_HOURS = 7 * 24.0  # as long as the log of HISTORY_PROPERTIES; Delta itself refuses less
TRIES = 5


def large_tables(of: Sequence[Table]) -> list[Table]:
    """The tables among them that exist and that Spark writes."""
    return [table for table in of if table.writer == "spark" and table_io.exists(table)]


def maintain(spark: "SparkSession", table: Table) -> str:
    """Compact the table and delete files unused for seven days; returns a sentence with the numbers of files."""
    from delta.tables import DeltaTable

    delta = DeltaTable.forPath(spark, str(table.path))
    removed, added = _retried(lambda: _compact(spark, table, delta))
    before = _files(table)
    _retried(lambda: delta.vacuum(KEEP_HOURS))
    return (
        f"{table.domain}.{table.name}: {removed:,} files became {added:,}; "
        f"{before - _files(table):,} unused files were deleted, {_files(table):,} are on disk."
    )


def _compact(spark: "SparkSession", table: Table, delta: Any) -> tuple[int, int]:
    if cluster.can_cluster(table, deltalake.DeltaTable(table.path)):
        return cluster.cluster(spark, table)
    columns = ["metrics.numFilesRemoved", "metrics.numFilesAdded"]
    (metrics,) = collect(delta.optimize().executeCompaction().select(*columns))
    return metrics["numFilesRemoved"], metrics["numFilesAdded"]


def _files(table: Table) -> int:
    return sum(1 for _ in table.path.glob("*.parquet"))


def _retried(action: Callable[[], Any]) -> Any:
    """Run it again when another writer was faster; the last error is raised."""
    for attempt in range(1, TRIES + 1):
        try:
            return action()
        except Exception as error:
            if "Concurrent" not in f"{type(error).__name__} {error}" or attempt == TRIES:
                raise
            time.sleep(random.uniform(0, attempt))
    raise AssertionError


def main(
    domains: Annotated[list[str] | None, typer.Argument(help="Domains; default: all.")] = None,
) -> None:
    """Compact the large tables of the domains and delete files unused for seven days."""
    with exclusive(settings().run / "maintain.lock", "The maintenance"):
        tables = [table for domain in load_all(domains or []) for table in large_tables(domain.tables)]
        spark = spark_session("maintain")
        for table in tables:
            typer.echo(maintain(spark, table))
        spark.stop()


if __name__ == "__main__":
    entry.run(main)
