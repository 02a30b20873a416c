"""Recomputes the averages from the distinct sales of the whole history and compares them with the speed layer."""

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
from lakehouse.streaming import checkpoints, layers, recompute_job, sidecar
from lakehouse.tables import table_io

METRIC = layers.WindowMetric(("decade",), count="sales", total="sum_cents", average="avg_price")


def recompute(spark: SparkSession, window: str, slide: str | None) -> DataFrame:
    """Write the batch averages and the parity with the speed rows, each in one commit; returns the parity rows."""
    pinned = recompute_job.pin(spark, HISTORY, DEAD_LETTERS)
    speed = table_io.read_spark(spark, AVERAGES)
    averages = transforms.average_price(layers.distinct_events(pinned.events), window, slide)
    pinned.write(averages, AVERAGES_BATCH, AVERAGES_BATCHES)
    streamed = layers.with_first(pinned.events.where(F.col("source") == "stream"))
    marked = layers.with_watermark_before(streamed, table_io.read_spark(spark, AVERAGES_BATCHES))
    counts = layers.late_and_resent(transforms.with_decade(marked), METRIC.groups, window, slide)
    parity = layers.compare_layers(speed, table_io.read_spark(spark, AVERAGES_BATCH), counts, METRIC)
    return recompute_job.write_parity(parity, PARITY)


def show(parity: DataFrame, limit: int = 10) -> None:
    """Print how many windows agree, why the others differ, and the largest differences."""
    console = Console(highlight=False)
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
) -> None:
    """Recompute the averages from the whole history. Works with Kafka stopped."""
    recorded = sidecar.recorded(checkpoints.path(DOMAIN.name, "averages"))
    window = window or recorded.get("window", WINDOW)
    slide = slide or recorded.get("slide", window)
    recompute_job.run(DOMAIN, lambda spark: show(recompute(spark, window, slide)))


if __name__ == "__main__":
    entry.run(main)
