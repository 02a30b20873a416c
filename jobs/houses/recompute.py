"""Recomputes the averages from the distinct sales of the history and compares them with the speed layer."""

from typing import Annotated

import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as Grid

from jobs.houses import transforms
from jobs.houses.schema import AVERAGES, AVERAGES_BATCH, AVERAGES_BATCHES, DEAD_LETTERS, DOMAIN, HISTORY, PARITY, WINDOW
from lakehouse import entry
from lakehouse.spark.session import collect
from lakehouse.streaming import checkpoints, layers, recompute_job, recompute_windows, sidecar
from lakehouse.streaming.recompute_run import WindowLayers
from lakehouse.streaming.recompute_windows import Recomputed

METRIC = layers.WindowMetric(("decade",), count="sales", total="sum_cents", average="avg_price")


def _streamed(events: DataFrame) -> DataFrame:
    return transforms.with_decade(events.where(F.col("source") == "stream"))


LAYERS = WindowLayers(
    DOMAIN,
    HISTORY,
    DEAD_LETTERS,
    AVERAGES,
    AVERAGES_BATCH,
    AVERAGES_BATCHES,
    PARITY,
    METRIC,
    aggregate=transforms.average_price,
    counted=_streamed,
)


def recompute(spark: SparkSession, window: str, slide: str | None, full: bool = False) -> Recomputed:
    """Write the batch averages and the parity with the speed rows, each in one commit.

    Only windows that have changed since the last recomputation are computed, unless it is `full`.
    """
    return recompute_windows.recompute(spark, LAYERS, window, slide, full)


def show(done: Recomputed, limit: int = 10) -> None:
    """Print what was computed, how many windows agree, why the others differ, and the largest differences."""
    console, parity = Console(highlight=False), done.parity
    console.print(done.report)
    by_cause = {row["cause"]: row["count"] for row in collect(parity.groupBy("cause").count())}
    total = sum(by_cause.values())
    causes = ", ".join(f"{cause} {count:,}" for cause, count in sorted(by_cause.items()) if cause != "equal")
    console.print(f"{total:,} windows: {by_cause.get('equal', 0):,} equal{f', {causes}' if causes else ''}.")
    differing = collect(parity.where("cause != 'equal'").orderBy(F.desc(F.abs("difference"))).limit(limit))
    if not differing:
        return
    heads = ("window (UTC)", "decade", "speed", "batch", "difference", "late", "resent", "cause")
    grid = Grid(*heads, box=None, pad_edge=False)
    for row in differing:
        speed, batch = _money(row["speed_avg_price"]), _money(row["batch_avg_price"])
        cells = [f"{row['window_start']:%Y-%m-%d %H:%M}", row["decade"], speed, batch, _money(row["difference"])]
        grid.add_row(*[str(cell) for cell in [*cells, row["late"], row["resent"], row["cause"]]])
    console.print(grid)


def _money(dollars: float | None) -> str:
    return "-" if dollars is None else f"{dollars:,.2f}"


def main(
    window: Annotated[str | None, typer.Option(help="Length of a window; the stream's own when not given.")] = None,
    slide: Annotated[
        str | None, typer.Option(help="Time between window starts; the stream's own when not given.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Compute all windows again, not only those that changed.")
    ] = False,
) -> None:
    """Recompute the averages from the history. Works with Kafka stopped."""
    recorded = sidecar.recorded(checkpoints.path(DOMAIN.name, "averages"))
    window = window or recorded.get("window", WINDOW)
    slide = slide or recorded.get("slide", window)
    recompute_job.run(DOMAIN, lambda spark: show(recompute(spark, window, slide, full)))


if __name__ == "__main__":
    entry.run(main)
