"""The totals query: events -> facts and totals in PostgreSQL, in one transaction, and the same rows in Delta.

A batch's events are staged; the facts of its units are derived again from all their events; then the changed hours and
their days are counted again. Events that come twice, late or in another order give the same rows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable

from jobs.production import day_sql, metrics, versions
from jobs.production.plant import Plant, plant
from jobs.production.schema import (
    BATCHES,
    DEFECTS,
    DOMAIN,
    EVENT_COLUMNS,
    FACTS,
    HISTORY,
    MEANINGS,
    PASSES,
    SERVING,
    TOTALS,
)
from lakehouse.core import kill_points
from lakehouse.sinks import postgres, postgres_schema
from lakehouse.sinks.console import ConsoleSink
from lakehouse.sinks.sink import TableSink
from lakehouse.streaming.batch import Batch
from lakehouse.streaming.query import Query
from lakehouse.tables import schema_changes, table_io

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EVENTS = list(EVENT_COLUMNS)
_COLUMNS = ", ".join(DEFECTS.columns)

STAGE = "CREATE TEMP TABLE events (kind text, {}, event_at timestamptz) ON COMMIT DROP".format(
    ", ".join(f"{name} text" for name in EVENTS[1:-1])
)
# Merges the events, each once, into the stored ones.
KEEP = (
    """INSERT INTO passes AS known
    SELECT unit_id, zone_id, min(event_at), max(event_at) FROM events WHERE kind = 'pass' GROUP BY unit_id, zone_id
    ON CONFLICT (unit_id, zone_id) DO UPDATE SET first_at = least(known.first_at, excluded.first_at),
        last_at = greatest(known.last_at, excluded.last_at)""",
    f"""INSERT INTO defects ({_COLUMNS}) SELECT DISTINCT {_COLUMNS} FROM events WHERE kind = 'defect'
    ON CONFLICT DO NOTHING""",
)
_OF_UNITS = "(SELECT * FROM {} JOIN (SELECT DISTINCT unit_id FROM events) AS touched USING (unit_id))"
_CHANGED = metrics.FACTS.format(passes=_OF_UNITS.format("passes"), defects=_OF_UNITS.format("defects"))


@dataclass(frozen=True)
class Statements:
    """The statements for a batch: `change` finds the facts that differ from before and the hours that they left or
    entered, `count` counts these hours for each table."""

    change: tuple[str, ...]
    count: dict[str, str]


def statements(of: Plant) -> Statements:
    """The statements of a plant; its clock says when a day begins."""
    origin = "%(generation)s, %(batch_id)s, clock_timestamp()"
    changed = f"""CREATE TEMP TABLE changed ON COMMIT DROP AS
    SELECT now.*, before.counted_at AS was_at FROM ({_CHANGED}) AS now LEFT JOIN unit_facts AS before
        USING (unit_id, zone_id)
    WHERE (now.counted_at, now.found, now.charged) IS DISTINCT FROM (before.counted_at, before.found, before.charged)
    """
    cells = f"""CREATE TEMP TABLE cells ON COMMIT DROP AS
    SELECT DISTINCT zone_id, {day_sql.hour("moment", of)} AS hour_start, {day_sql.day("moment", of)} AS day
    FROM changed, LATERAL (VALUES (counted_at), (was_at)) AS moments (moment) WHERE moment IS NOT NULL"""
    # The range uses the index; the other condition is for an hour that the end of a day cuts.
    in_cells = f"""(SELECT unit_facts.* FROM unit_facts JOIN cells USING (zone_id)
    WHERE counted_at >= hour_start AND counted_at < hour_start + INTERVAL '1 hour'
        AND {day_sql.hour("counted_at", of)} = hour_start)"""
    hours = metrics.on_clock(metrics.HOURS, of).format(facts=in_cells)
    concerns = metrics.on_clock(metrics.CONCERNS, of).format(facts=in_cells, defects="defects")
    days = "(SELECT hours.* FROM hours JOIN (SELECT DISTINCT zone_id, day FROM cells) AS days USING (zone_id, day))"
    # A cell that lost its last unit is written as zeros.
    count = {
        "hours": f"""SELECT hour_start, zone_id, cells.day, coalesce(units, 0), coalesce(defects_found, 0),
        coalesce(defects_charged, 0), coalesce(defective_units, 0), newest_at, {origin}
    FROM cells LEFT JOIN ({hours}) AS counted USING (hour_start, zone_id)""",
        "concerns": f"""SELECT hour_start, zone_id, concern_id, coalesce(counted.day, known.day),
        coalesce(counted.defects, 0), {origin}
    FROM (SELECT * FROM ({concerns}) AS found) AS counted FULL JOIN
        (SELECT hour_start, zone_id, concern_id, cells.day FROM concerns JOIN cells USING (hour_start, zone_id))
        AS known USING (hour_start, zone_id, concern_id)""",
        "totals": f"SELECT totals.*, {origin} FROM ({metrics.TOTALS.format(hours=days)}) AS totals",
    }
    return Statements((changed, cells), count)


class TotalsSink(TableSink):
    """The one writer of the totals: first to PostgreSQL, then its rows to Delta."""

    def __init__(self, console: bool = False) -> None:
        super().__init__(SERVING, BATCHES, [ConsoleSink(list(TOTALS.columns)[:7])] if console else [])
        self._statements = statements(plant())
        self._connection: postgres.Connection | None = None

    def put(self, frame: "DataFrame", batch: Batch) -> None:
        """Count a batch. Raises UnavailableError when PostgreSQL does not answer; nothing is written then."""
        events = frame.select(*EVENTS).toArrow()
        try:
            with postgres.answering():
                changed = self._count(events, batch)
        except BaseException:
            self._connection = None
            raise
        kill_points.point(f"{batch.query}.counted", batch.batch_id)
        self.send(changed[TOTALS.name], batch)
        for table in SERVING:
            rows = changed[table.name]
            oldest = min((row["day"] for row in rows), default=None)
            self.upsert(table, rows, batch, f"target.day >= '{oldest}'")

    def _count(self, events: pa.Table, batch: Batch) -> dict[str, list[dict[str, Any]]]:
        """Write the batch to PostgreSQL in one transaction; returns the rows it changed, by serving table."""
        if self._connection is None or self._connection.closed:
            postgres_schema.create(DOMAIN.name, (PASSES, DEFECTS, FACTS, *SERVING), _meanings())
            self._connection = postgres.connect(DOMAIN.name)
        connection = self._connection
        with connection.transaction():
            state = postgres.begin(connection, batch)
            if state != "written":
                connection.execute(STAGE)
                if state == "first":
                    _load_history(connection)
                postgres.copy_rows(connection, "events", events)
                _apply(connection, batch, self._statements)
                postgres.record_commit(connection, batch)
            return {table.name: postgres.written_by(connection, table, batch) for table in SERVING}


def _load_history(connection: postgres.Connection) -> None:
    """Empty the tables and stage all of the history: the topic may have lost its oldest records."""
    postgres.truncate(connection, (PASSES, DEFECTS, FACTS, *SERVING))
    if table_io.exists(HISTORY):
        for part in schema_changes.dataset(HISTORY, DeltaTable(HISTORY.path)).to_batches(columns=EVENTS):
            postgres.copy_rows(connection, "events", pa.Table.from_batches([part]))


def _meanings() -> dict[str, str]:
    return {**MEANINGS, "day": f"production day, which begins at {plant().begins}"}


def _apply(connection: postgres.Connection, batch: Batch, run: Statements) -> None:
    for statement in (*KEEP, *run.change):
        connection.execute(statement)
    postgres.upsert(connection, FACTS, "SELECT unit_id, zone_id, counted_at, found, charged FROM changed")
    for table in SERVING:  # hours first: a day's total is their sum
        origin = {"generation": batch.generation, "batch_id": batch.batch_id}
        postgres.upsert(connection, table, run.count[table.name], origin)


def totals_query(rules: versions.Versions, console: bool = False) -> Query:
    """Totals of valid events, into PostgreSQL and Delta; Spark keeps no state for it."""
    from jobs.production import transforms

    def plan(records: "DataFrame") -> "DataFrame":
        return transforms.valid_events(records, rules)

    tables, rests_on = DOMAIN.query_tables["totals"], {versions.DAY: versions.day_starts()}
    return Query(DOMAIN.name, "totals", plan, TotalsSink(console).write, "append", tables, rests_on)
