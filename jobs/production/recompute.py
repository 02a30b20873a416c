"""The totals again, from the whole history, and whether Delta and PostgreSQL hold the same."""

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as Grid

from jobs.production import transforms
from jobs.production.plant import plant
from jobs.production.schema import BATCHES, DEAD_LETTERS, DOMAIN, HISTORY, PARITY, TOTALS, TOTALS_BATCH
from lakehouse import entry
from lakehouse.core.locks import exclusive
from lakehouse.settings import settings
from lakehouse.sinks import postgres
from lakehouse.spark.session import collect, spark_session
from lakehouse.streaming.batch import covered
from lakehouse.tables import table_io


def recompute(spark: SparkSession) -> DataFrame:
    """Write the batch totals and their parity, each in one commit; returns the parity rows.

    Raises UnavailableError when PostgreSQL is away: the totals are written then, the parity is not. Raises UsageError
    when the plant's file cannot be used.
    """
    table_io.create(HISTORY)
    version = DeltaTable(HISTORY.path).version()  # pinned: the stream may go on appending
    events = table_io.read_version(spark, HISTORY, version)
    generation, batch_id = covered(
        [events, table_io.read_spark(spark, DEAD_LETTERS)], table_io.read_spark(spark, BATCHES)
    )
    stamp = {
        "covered_generation": F.lit(generation).cast("string"),
        "covered_batch_id": F.lit(batch_id).cast("bigint"),
        "history_version": F.lit(version).cast("bigint"),
        "recomputed_at": F.current_timestamp(),
    }
    table_io.overwrite(transforms.totals(events, plant()).withColumns(stamp), TOTALS_BATCH)
    delta, stored = stores(spark)
    parity = transforms.compare_layers(delta, stored, table_io.read_spark(spark, TOTALS_BATCH))
    table_io.overwrite(parity.withColumn("recomputed_at", F.current_timestamp()), PARITY)
    return table_io.read_spark(spark, PARITY)


def stores(spark: SparkSession) -> tuple[DataFrame, DataFrame]:
    """The totals as Delta and as PostgreSQL hold them after the same batch; a live stream may be between the two."""
    schema = ", ".join(f"{name} {kind}" for name, kind in TOTALS.columns.items())
    held = postgres.read_rows(TOTALS)
    delta = table_io.read(TOTALS).to_pylist()  # after PostgreSQL, which is written first
    rows = [[tuple(row[name] for name in TOTALS.columns) for row in side] for side in (delta, held)]
    return spark.createDataFrame(rows[0], schema), spark.createDataFrame(rows[1], schema)


def show(parity: DataFrame, limit: int = 10) -> None:
    """Print how many days and zones agree, and those that do not."""
    console = Console(highlight=False)
    rows = collect(parity.orderBy("day", "zone_id"))
    off = [row for row in rows if row["cause"] != "equal"]
    console.print(f"{len(rows):,} totals: {len(rows) - len(off):,} equal in Delta, PostgreSQL and the history.")
    grid = Grid("day", "zone", "units in Delta", "in PostgreSQL", "recomputed", "cause", box=None, pad_edge=False)
    for row in off[:limit]:
        names = ("day", "zone_id", "delta_units", "postgres_units", "batch_units", "cause")
        grid.add_row(*[str(row[name]) for name in names])
    if off:
        console.print(grid)


def main() -> None:
    """Recompute the totals from the whole history. Works with Kafka stopped."""
    plant()  # first: what is wrong in its file needs no Spark to be seen
    with exclusive(settings().run / f"{DOMAIN.name}.recompute.lock", "The recomputation"):
        spark = spark_session(f"{DOMAIN.name}-recompute")
        show(recompute(spark))
        spark.stop()


if __name__ == "__main__":
    entry.run(main)
