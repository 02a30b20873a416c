"""The record of a query's progress file, as this version writes it and as older ones did."""

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.core import run_state
from lakehouse.streaming import query_state
from lakehouse.streaming.managed_query import ManagedQuery
from lakehouse.streaming.query_state import Progress, QueryFiles

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
OLD = {
    "timestamp": "2026-05-01T11:59:59.000Z",
    "inputRowsPerSecond": 20.25,
    "processedRowsPerSecond": float("nan"),
    "durationMs": {"triggerExecution": 450, "addBatch": 300},
    "stateOperators": [{"numRowsTotal": 24, "memoryUsedBytes": 9376}],
    "trigger": "0 seconds",
    "written_at": NOW.isoformat(),
}


class Running:
    """Spark's handle of a query that runs and has not reported yet."""

    lastProgress, isActive = None, True

    def exception(self) -> None:
        return None


def test_a_report_without_format_and_state_is_read() -> None:
    assert query_state.progress_of(OLD) == Progress(
        written_at=NOW,
        progressed_at=NOW - timedelta(seconds=1),
        trigger="0 seconds",
        input_rate=20.25,
        batch_seconds=0.45,
        state_rows=24,
        state_bytes=9376,
        durations=(("addBatch", 300), ("triggerExecution", 450)),
        format=0,
    )


@pytest.mark.usefixtures("lake")
def test_what_a_query_writes_is_read_with_its_format() -> None:
    query = ManagedQuery("houses.averages", Running)  # type: ignore[arg-type]
    query.begin()
    run_state.write_json(run_state.progress_file("houses", "averages"), query.progress())
    now = datetime.now(UTC)
    files = query_state.read("houses", "averages", now)
    assert files.progress
    assert (files.batch, files.alive, files.progress.state, files.progress.format) == (None, True, "running", 1)
    assert not query_state.read("houses", "averages", now + timedelta(minutes=1)).alive


@pytest.mark.usefixtures("lake")
def test_a_query_without_files_has_neither_batch_nor_progress() -> None:
    assert query_state.read("houses", "averages", NOW) == QueryFiles()
