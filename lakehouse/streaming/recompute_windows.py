"""Recomputes a metric per window from the history, where it has changed, and compares it with the speed layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contract.standard_tables import RECOMPUTED
from lakehouse.contract.tables import Table
from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.streaming import layers, recompute_job, recompute_run, recompute_scope, recompute_state
from lakehouse.streaming.id_index import IdIndex
from lakehouse.streaming.recompute_run import Run, WindowLayers
from lakehouse.streaming.recompute_scope import PLACE, Events
from lakehouse.streaming.recompute_state import State, later, listed
from lakehouse.tables import appended, table_io
from lakehouse.tables.appended import ChangedError, Span


@dataclass(frozen=True)
class Recomputed:
    """The parity rows, and how they were made: a sentence, and whether everything was computed again."""

    parity: DataFrame
    report: str
    is_full: bool


@dataclass(frozen=True)
class _Scope:
    """What is computed again: all when `spans` is None, and then `reason` says why."""

    events: DataFrame  # with is_first
    spans: list[Span] | None
    reason: str
    rows: int
    index: IdIndex
    ends: Offsets
    counts: pa.Table | None = None


def recompute(spark: SparkSession, of: WindowLayers, window: str, slide: str | None, full: bool = False) -> Recomputed:
    """Write the batch rows and their parity with the speed rows, each in one commit.

    Computes only windows that have changed since the last run, unless it cannot go on from that or is to be `full`.
    """
    run = recompute_run.begin(spark, of, window, slide or window)
    speed = table_io.read_spark(spark, of.speed)
    events = Events(of.history, run.history, run.windows)
    scope = _scope(spark, run, events, full)
    recompute_state.discard(of.domain.name)
    counts = _counts(spark, run, scope)
    _write_batch(spark, run, scope)
    batch = table_io.read_spark(spark, of.batch)
    compared = layers.compare_layers(speed, batch, spark.createDataFrame(counts), of.metric)
    parity = recompute_job.write_parity(compared, of.parity)
    total = _leave(run, scope, events.rows, counts)
    return Recomputed(parity, _report(run, scope, events.rows, total), scope.spans is None)


def _scope(spark: SparkSession, run: Run, events: Events, full: bool) -> _Scope:
    try:
        if full:
            raise ChangedError("asked for")
        state = recompute_scope.checked(
            recompute_state.read(run.of.domain.name), run.rests_on, run.history, run.generations
        )
        return _changed(spark, run, events, state)
    except ChangedError as changed:
        reason = str(changed)
    except (OSError, ValueError) as damage:
        reason = f"the state of the last one cannot be read: {damage}"
    return _everything(run, events, reason)


def _everything(run: Run, events: Events, reason: str) -> _Scope:
    seen = recompute_scope.scan(run.of.history, events.all_paths(), run.windows)
    letters = appended.paths(run.of.dead_letters.path, appended.files(run.letters))
    ends = later(seen.ends, recompute_scope.scan(run.of.dead_letters, letters).ends)
    index = IdIndex()
    index.add(seen.found)
    return _Scope(layers.with_first(run.pinned.events), None, reason, seen.rows, index, ends)


def _changed(spark: SparkSession, run: Run, events: Events, state: State) -> _Scope:
    """Raises ChangedError where this cannot be trusted, OSError or ValueError where the state is damaged."""
    of = run.of
    _check_batch(of.batch, state)
    new = appended.appended(of.history.path, state.history_version, run.history.version())
    if state.letters_id != str(run.letters.metadata().id):
        raise ChangedError("the dead letters were created again")
    letters = appended.appended(of.dead_letters.path, state.letters_version, run.letters.version())
    seen = recompute_scope.scan(of.history, new, run.windows)
    if state.history_rows + seen.rows != events.rows:
        raise ChangedError("the history has not as many rows as were appended")
    index, counts = recompute_state.load(of.domain.name, state)
    index.add(seen.found)
    spans = events.changed(new, seen, index, state, run.read)
    again = recompute_scope.not_first(events.sharing(events.paths(spans), index, spans))
    before = recompute_state.by_partition(state.ends)
    ends = later(later(before, seen.ends), recompute_scope.scan(of.dead_letters, letters).ends)
    frame = _with_first(spark, table_io.read_files(spark, of.history, events.paths(spans)), again, spans)
    return _Scope(frame, spans, "", seen.rows, index, ends, counts)


def _check_batch(batch: Table, state: State) -> None:
    versions = table_io.read(batch, ["history_version"])["history_version"]
    if len(versions) != state.batch_rows or set(versions.unique().to_pylist()) - {state.history_version}:
        raise ChangedError("the batch rows are of another one")


def _with_first(spark: SparkSession, events: DataFrame, again: pa.Table, spans: Sequence[Span]) -> DataFrame:
    marks = spark.createDataFrame(again).withColumn("again", F.lit(True))
    marked = events.where(_any([_between(span) for span in spans])).join(F.broadcast(marks), [*PLACE], "left")
    return marked.withColumn("is_first", F.col("again").isNull()).drop("again")


def _between(span: Span) -> Column:
    return (F.col("event_at") >= F.lit(span.start)) & (F.col("event_at") < F.lit(span.end))


def _any(conditions: Sequence[Column]) -> Column:
    return reduce(Column.__or__, conditions, F.lit(False))


def _again(run: Run, spans: Sequence[Span]) -> Column:
    """Whether a row's window lies in the spans; all of its events are read then."""
    end = F.timestamp_micros(F.unix_micros("window_start") + F.lit(run.windows.length))
    return _any([(F.col("window_start") >= F.lit(span.start)) & (end <= F.lit(span.end)) for span in spans])


def _merged(run: Run, scope: _Scope, old: DataFrame, new: DataFrame) -> DataFrame:
    """The old rows of the windows that have not changed, and the new ones of those that have."""
    assert scope.spans is not None
    again = _again(run, scope.spans)
    return old.where(~again).unionByName(new.where(again))


def _counts(spark: SparkSession, run: Run, scope: _Scope) -> pa.Table:
    """Late and resent events of all windows that have some."""
    log, of = table_io.read_spark(spark, run.of.batch_log), run.of
    marked = of.counted(layers.with_watermark_before(scope.events, log))
    found = layers.late_and_resent(marked, of.metric.groups, run.window, run.slide).where("late > 0 OR resent > 0")
    if scope.counts is not None:
        found = _merged(run, scope, spark.createDataFrame(scope.counts), found)
    return found.toArrow()


def _write_batch(spark: SparkSession, run: Run, scope: _Scope) -> None:
    of, columns = run.of, [name for name in run.of.batch.columns if name not in RECOMPUTED]
    rows = of.aggregate(scope.events.where("is_first").drop("is_first"), run.window, run.slide).select(*columns)
    if scope.spans is not None:
        rows = _merged(run, scope, table_io.read_spark(spark, of.batch).select(*columns), rows)
    run.pinned.write(rows, of.batch, of.batch_log, scope.ends)


def _leave(run: Run, scope: _Scope, rows: int, counts: pa.Table) -> int:
    """Write the state for the next run; returns how many batch rows there are."""
    of, version = run.of, run.history.version()
    total = int(table_io.read(of.batch, ["history_version"]).num_rows)
    ids, name = recompute_state.save(of.domain.name, version, scope.index, counts)
    state = State(
        rests_on=run.rests_on,
        history_id=str(run.history.metadata().id),
        history_version=version,
        history_rows=rows,
        letters_id=str(run.letters.metadata().id),
        letters_version=run.letters.version(),
        batch_rows=total,
        ends=listed(scope.ends),
        read=listed(run.read),
        generations=run.generations,
        ids=ids,
        counts=name,
    )
    recompute_state.write(of.domain.name, state)
    return total


def _report(run: Run, scope: _Scope, rows: int, total: int) -> str:
    if scope.spans is None:
        return f"Full recomputation ({scope.reason}): {total:,} rows from {rows:,} events."
    starts = [Span(start, end - timedelta(microseconds=run.windows.length - 1)) for start, end in scope.spans]
    begun = table_io.read(run.of.batch, ["window_start"]).filter(appended.within("window_start", starts))
    windows = len(pc.unique(begun["window_start"]))
    return (
        f"Incremental recomputation: {begun.num_rows:,} of {total:,} rows ({_plural(windows, 'window')}) "
        f"for {_plural(scope.rows, 'new event')} among {rows:,}."
    )


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
