"""A recomputation under way: the tables and rules of a metric per window, the pinned versions, what it rests on."""

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contract.domain import Domain
from lakehouse.contract.tables import Table
from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.spark.session import collect
from lakehouse.streaming import layers, recompute_job
from lakehouse.streaming.recompute_job import PinnedHistory
from lakehouse.streaming.recompute_scope import Windows
from lakehouse.tables import table_io


@dataclass(frozen=True)
class WindowLayers:
    """Tables and rules of a metric per window.

    `aggregate` makes the batch rows of events that count (with window and slide). `counted` gives the streamed events
    the metric's group columns, for late and resent ones.
    """

    domain: Domain
    history: Table
    dead_letters: Table
    speed: Table
    batch: Table
    batch_log: Table
    parity: Table
    metric: layers.WindowMetric
    aggregate: Callable[[DataFrame, str, str], DataFrame]
    counted: Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Run:
    """A recomputation under way: the pinned versions, and how far the batch log was when it began."""

    of: WindowLayers
    window: str
    slide: str
    windows: Windows
    pinned: PinnedHistory
    history: DeltaTable
    letters: DeltaTable
    read: Offsets
    generations: tuple[str, ...]
    rests_on: str


def begin(spark: SparkSession, of: WindowLayers, window: str, slide: str) -> Run:
    """Pin the tables. The batch log is read first: what it does not know yet is computed again by the next run."""
    log = table_io.read(of.batch_log, ["generation", "topic", "partition", "end_offset"])
    ends = log.group_by(["topic", "partition"]).aggregate([("end_offset", "max")]).to_pylist()
    pinned = recompute_job.pin(spark, of.history, of.dead_letters)
    return Run(
        of,
        window,
        slide,
        Windows(_micros(spark, window), _micros(spark, slide)),
        pinned,
        DeltaTable(of.history.path, version=pinned.version),
        DeltaTable(of.dead_letters.path, version=pinned.letters_version),
        {(row["topic"], row["partition"]): row["end_offset_max"] for row in ends},
        tuple(sorted(pc.unique(log["generation"]).to_pylist())),
        _rests_on(of, window, slide),
    )


def _rests_on(of: WindowLayers, window: str, slide: str) -> str:
    """A digest of what rows of two recomputations must have in common."""
    code: list[Any] = [of.aggregate, of.counted, layers]
    files = {Path(inspect.getfile(each)) for each in code} | {*Path(__file__).parent.glob("recompute_*.py")}
    names = [window, slide, {**of.history.columns}, {**of.batch.columns}, str(of.metric)]
    digest = hashlib.sha256(json.dumps(names).encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _micros(spark: SparkSession, duration: str) -> int:
    """How long it is, as Spark reads it."""
    moment = F.timestamp_seconds(F.lit(0)) + F.lit(duration).cast("interval")
    (row,) = collect(spark.range(1).select(F.unix_micros(moment).alias("micros")))
    return int(row["micros"])
