"""What a recomputation covers while the stream goes on writing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lakehouse.contract import standard_tables
from lakehouse.contract.tables import Table
from lakehouse.spark.session import collect
from lakehouse.streaming import recompute_job
from lakehouse.tables import table_io

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("lake")]
EVENTS = standard_tables.history("line", {"id": "STRING"}, ["id"], "events")
LETTERS = standard_tables.dead_letters("line", "no events")
LOG = standard_tables.batch_log("line", "units")
UNITS = standard_tables.batch_table("line", "units_batch", {"id": "STRING"}, ("id",), "units")
AT = {"topic": "line", "partition": 0, "recorded_at": datetime(2026, 1, 1, tzinfo=UTC)}


def append(table: Table, version: int, **row: Any) -> None:
    blank = dict.fromkeys(table.columns)
    table_io.append(table_io.create(table), table_io.rows(table, [{**blank, **AT, **row}]), "test", version)


def speed_batch(number: int, start: int, end: int) -> None:
    place = {"topic": "line", "partition": 0, "start_offset": start, "end_offset": end}
    append(
        LOG,
        number,
        generation="gen",
        batch_id=number,
        committed_at=datetime(2026, 1, 1, 0, number, tzinfo=UTC),
        **place,
    )


def test_a_batch_that_comes_after_the_pinned_version_is_not_covered(spark: Any) -> None:
    append(EVENTS, 0, id="a", offset=0)
    append(LETTERS, 0, reason="bad", offset=1)
    speed_batch(0, 0, 2)
    pinned = recompute_job.pin(spark, EVENTS, LETTERS)
    append(EVENTS, 1, id="b", offset=2)
    append(LETTERS, 1, reason="bad", offset=3)
    speed_batch(1, 2, 4)
    pinned.write(pinned.events.select("id"), UNITS, LOG)
    [row] = collect(table_io.read_spark(spark, UNITS))
    assert (row["id"], row["covered_generation"], row["covered_batch_id"]) == ("a", "gen", 0)
    assert row["history_version"] == pinned.version
