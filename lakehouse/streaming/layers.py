"""Speed layer against batch layer for a metric per window: duplicates, late events, and why two rows differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F


@dataclass(frozen=True)
class WindowMetric:
    """The columns of a metric per window: its group columns, the number of events, their exact sum, their average."""

    groups: tuple[str, ...]
    count: str
    total: str
    average: str

    @property
    def keys(self) -> list[str]:
        """The columns that name a row."""
        return ["window_start", *self.groups]


def with_first(events: DataFrame) -> DataFrame:
    """Events with `is_first`: true for the first record of each event_id, and for every record without one.

    Those without one, from plain producers, are not in the window function, which would put them all into one task.
    """
    order = Window.partitionBy("event_id").orderBy("recorded_at", "topic", "partition", "offset")
    named = events.where(F.col("event_id").isNotNull()).withColumn("is_first", F.row_number().over(order) == 1)
    return named.unionByName(events.where(F.col("event_id").isNull()).withColumn("is_first", F.lit(True)))


def distinct_events(events: DataFrame) -> DataFrame:
    """The first record of each event_id, and every record without one."""
    return with_first(events).where("is_first").drop("is_first")


def with_watermark_before(events: DataFrame, batch_log: DataFrame) -> DataFrame:
    """Streamed events with `watermark_before`: the watermark of the batch before the one that read them.

    An event was late for a window when window_end <= watermark_before. Null where the batch log does not know the
    event.
    """
    previous = Window.partitionBy("generation", "topic", "partition").orderBy("batch_id")
    batches = batch_log.withColumn("watermark_before", F.lag("watermark").over(previous))
    marks = batches.where(F.col("end_offset") > F.col("start_offset")).select(
        "topic",
        "partition",
        F.col("start_offset").alias("offset"),
        F.struct("watermark_before", "end_offset").alias("mark"),
    )
    both = events.withColumn("mark", F.lit(None).cast(marks.schema["mark"].dataType)).unionByName(
        marks, allowMissingColumns=True
    )
    # The mark of a batch is sorted before the events from its start offset to its end.
    order = Window.partitionBy("topic", "partition").orderBy("offset", F.col("mark").isNull())
    marked = both.withColumn("last", F.last("mark", ignorenulls=True).over(order)).where(F.col("mark").isNull())
    known = F.col("last.end_offset") > F.col("offset")
    return marked.withColumn("watermark_before", F.when(known, F.col("last.watermark_before"))).drop("mark", "last")


def late_and_resent(events: DataFrame, groups: Sequence[str], window: str, slide: str | None = None) -> DataFrame:
    """Late and resent events, one row per window_start and group, from events with `watermark_before` and `is_first`.

    `late` counts events that the speed layer left out, `resent` those that the batch layer leaves out; some are both.
    """
    placed = events.withColumn("w", F.window("event_at", window, slide))
    late = (F.col("w.end") <= F.col("watermark_before")).cast("bigint")
    resent = (~F.col("is_first")).cast("bigint")
    counted = placed.groupBy("w", *groups).agg(
        F.coalesce(F.sum(late), F.lit(0)).alias("late"), F.sum(resent).alias("resent")
    )
    return counted.select(F.col("w.start").alias("window_start"), *groups, "late", "resent")


def compare_layers(speed: DataFrame, batch: DataFrame, counts: DataFrame, metric: WindowMetric) -> DataFrame:
    """Speed row against batch row, one row per key known to either, with the cause of a difference.

    `counts` is what `late_and_resent` gives. `difference` is the batch average less the speed average. `cause` is
    `equal`, `late`, `resent`, `late and resent`, `newer <events>` (the speed row has since seen more), `speed only`,
    `batch only`, or `unexplained`.
    """
    ours = speed.select(
        *metric.keys, F.col("window_end").alias("speed_end"), *_named("speed", metric), "generation", "batch_id"
    )
    theirs = batch.select(
        *metric.keys, "window_end", *_named("batch", metric), "covered_generation", "covered_batch_id"
    )
    joined = ours.join(theirs, metric.keys, "full").join(counts, metric.keys, "left").fillna(0, ["late", "resent"])
    return joined.select(
        "window_start",
        F.coalesce("window_end", "speed_end").alias("window_end"),
        *metric.groups,
        F.col("speed_count").alias(f"speed_{metric.count}"),
        F.col("batch_count").alias(f"batch_{metric.count}"),
        F.col("speed_average").alias(f"speed_{metric.average}"),
        F.col("batch_average").alias(f"batch_{metric.average}"),
        (F.col("batch_average") - F.col("speed_average")).alias("difference"),
        "late",
        "resent",
        _cause(f"newer {metric.count}").alias("cause"),
    )


def _named(layer: str, metric: WindowMetric) -> list[Column]:
    parts = {"count": metric.count, "total": metric.total, "average": metric.average}
    return [F.col(column).alias(f"{layer}_{part}") for part, column in parts.items()]


def _cause(newer_events: str) -> Column:
    equal = (F.col("speed_count") == F.col("batch_count")) & (F.col("speed_total") == F.col("batch_total"))
    newer = (F.col("generation") == F.col("covered_generation")) & (F.col("batch_id") > F.col("covered_batch_id"))
    explained = F.col("batch_count") - F.col("speed_count") == F.col("late") - F.col("resent")
    late, resent = F.col("late") > 0, F.col("resent") > 0
    return (
        F.when(F.col("speed_count").isNull(), F.when(late, "late").otherwise("batch only"))
        .when(F.col("batch_count").isNull(), "speed only")
        .when(newer, newer_events)
        .when(equal, "equal")
        .when(~explained, "unexplained")
        .when(late & resent, "late and resent")
        .when(late, "late")
        .when(resent, "resent")
        .otherwise("unexplained")
    )
