"""Recomputes the totals from the distinct events of the whole history and compares them with the speed layer."""

import typer
from pyspark.sql import DataFrame, SparkSession

from jobs.example import transforms
from jobs.example.schema import (
    DEAD_LETTERS,
    DOMAIN,
    HISTORY,
    PARITY,
    TOTALS,
    TOTALS_BATCH,
    TOTALS_BATCHES,
    WINDOW,
)
from lakehouse import entry
from lakehouse.spark.session import collect
from lakehouse.streaming import checkpoints, layers, recompute_job, sidecar
from lakehouse.tables import table_io


def recompute(spark: SparkSession, window: str) -> DataFrame:
    """Write the batch totals and the parity with the speed rows, each in one commit; returns the parity rows."""
    pinned = recompute_job.pin(spark, HISTORY, DEAD_LETTERS)
    speed = table_io.read_spark(spark, TOTALS)
    totals = transforms.totals(layers.distinct_events(pinned.events), window)
    pinned.write(totals, TOTALS_BATCH, TOTALS_BATCHES)
    log = table_io.read_spark(spark, TOTALS_BATCHES)
    marked = layers.with_watermark_before(layers.with_first(pinned.events), log)
    counts = layers.late_and_resent(marked, transforms.METRIC.groups, window)
    batch = table_io.read_spark(spark, TOTALS_BATCH)
    return recompute_job.write_parity(layers.compare_layers(speed, batch, counts, transforms.METRIC), PARITY)


def show(parity: DataFrame) -> None:
    """Print how many windows agree, and how many do not for which cause."""
    by_cause = {row["cause"]: row["count"] for row in collect(parity.groupBy("cause").count())}
    causes = ", ".join(f"{cause} {count:,}" for cause, count in sorted(by_cause.items()))
    typer.echo(f"{sum(by_cause.values()):,} windows{f': {causes}' if causes else ''}.")


def main() -> None:
    """Recompute the totals from the whole history. Works with Kafka stopped."""
    window = sidecar.recorded(checkpoints.path(DOMAIN.name, "totals")).get("window", WINDOW)
    recompute_job.run(DOMAIN, lambda spark: show(recompute(spark, window)))


if __name__ == "__main__":
    entry.run(main)
