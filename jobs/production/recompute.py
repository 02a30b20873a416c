"""Recomputes the totals from the whole history and compares them with Delta and PostgreSQL."""

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table as Grid

from jobs.production import transforms
from jobs.production.plant import plant
from jobs.production.schema import BATCHES, DEAD_LETTERS, DOMAIN, HISTORY, PARITY, TOTALS, TOTALS_BATCH
from lakehouse import entry
from lakehouse.sinks import postgres
from lakehouse.spark.session import collect
from lakehouse.streaming import recompute_job
from lakehouse.tables import table_io


def recompute(spark: SparkSession) -> DataFrame:
    """Write the batch totals and their parity, each in one commit; returns the parity rows.

    Raises UnavailableError when PostgreSQL is away: the totals are written then, the parity is not. Raises UsageError
    when the plant's file cannot be used.
    """
    pinned = recompute_job.pin(spark, HISTORY, DEAD_LETTERS)
    pinned.write(transforms.totals(pinned.events, plant()), TOTALS_BATCH, BATCHES)
    delta, stored = speed_totals(spark)
    parity = transforms.compare_layers(delta, stored, table_io.read_spark(spark, TOTALS_BATCH))
    return recompute_job.write_parity(parity, PARITY)


def speed_totals(spark: SparkSession) -> tuple[DataFrame, DataFrame]:
    """The totals in Delta and in PostgreSQL; a running stream may write a batch between the two reads."""
    schema = ", ".join(f"{name} {kind}" for name, kind in TOTALS.columns.items())
    stored = postgres.read_rows(TOTALS)
    delta = table_io.read(TOTALS).to_pylist()  # after PostgreSQL, which is written first
    rows = [[tuple(row[name] for name in TOTALS.columns) for row in side] for side in (delta, stored)]
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
    recompute_job.run(DOMAIN, lambda spark: show(recompute(spark)))


if __name__ == "__main__":
    entry.run(main)
