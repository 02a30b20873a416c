"""Recomputes the totals from the distinct events of the history and compares them with the speed layer."""

from typing import Annotated

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
from lakehouse.streaming import checkpoints, recompute_job, recompute_windows, sidecar
from lakehouse.streaming.recompute_run import WindowLayers
from lakehouse.streaming.recompute_windows import Recomputed


def _totals(events: DataFrame, window: str, _slide: str) -> DataFrame:
    return transforms.totals(events, window)


def _as_they_are(events: DataFrame) -> DataFrame:
    return events


LAYERS = WindowLayers(
    DOMAIN,
    HISTORY,
    DEAD_LETTERS,
    TOTALS,
    TOTALS_BATCH,
    TOTALS_BATCHES,
    PARITY,
    transforms.METRIC,
    aggregate=_totals,
    counted=_as_they_are,
)


def recompute(spark: SparkSession, window: str, full: bool = False) -> Recomputed:
    """Write the batch totals and the parity with the speed rows, each in one commit.

    Only windows that have changed since the last recomputation are computed, unless it is `full`.
    """
    return recompute_windows.recompute(spark, LAYERS, window, None, full)


def show(done: Recomputed) -> None:
    """Print what was computed, how many windows agree, and how many do not for which cause."""
    typer.echo(done.report)
    by_cause = {row["cause"]: row["count"] for row in collect(done.parity.groupBy("cause").count())}
    causes = ", ".join(f"{cause} {count:,}" for cause, count in sorted(by_cause.items()))
    typer.echo(f"{sum(by_cause.values()):,} windows{f': {causes}' if causes else ''}.")


def main(
    full: Annotated[bool, typer.Option("--full", help="Compute all windows, not only those that changed.")] = False,
) -> None:
    """Recompute the totals from the history. Works with Kafka stopped."""
    window = sidecar.recorded(checkpoints.path(DOMAIN.name, "totals")).get("window", WINDOW)
    recompute_job.run(DOMAIN, lambda spark: show(recompute(spark, window, full)))


if __name__ == "__main__":
    entry.run(main)
