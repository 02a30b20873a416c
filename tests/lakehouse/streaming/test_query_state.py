"""The record of a query's progress file, as this version writes it and as older ones did."""

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.core import run_state
from lakehouse.streaming import checkpoints, query_state
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


@pytest.mark.usefixtures("lake")
def test_a_query_in_real_time_mode_has_read_what_it_has_answered() -> None:
    answered = [["asked", 0, 40], ["asked", 1, 7]]
    latency = {"p50": 4, "p95": 12, "p99": 90, "answers": 3000}
    report = {**OLD, "trigger": "real-time 60 seconds", "answered": answered, "latency_ms": latency}
    run_state.write_json(run_state.progress_file("echo", "texts"), report)
    found = query_state.read("echo", "texts", NOW)
    assert found.batch is not None and found.progress is not None
    assert found.batch.ends == {("asked", 0): 40, ("asked", 1): 7}
    assert (found.progress.latency_ms, found.progress.batch_seconds) == ((4, 12), None)
    assert found.progress.progressed_at == NOW - timedelta(seconds=1)  # nothing was answered yet
    answered_now = query_state.progress_of(report | {"answered_at": NOW.isoformat()})
    assert answered_now.progressed_at == NOW  # Spark's own time is a batch old, and a batch lasts a minute
    checkpoint = checkpoints.path("echo", "texts")
    (checkpoint / "offsets").mkdir(parents=True)
    (checkpoint / "commits").mkdir()
    for part in ("offsets", "commits"):  # one partition committed less, the other more: some requests have no answer
        (checkpoint / part / "3").write_text('v1\n{"batchWatermarkMs":0}\n{"asked":{"0":30,"1":9}}')
    found = query_state.read("echo", "texts", NOW)
    assert found.batch is not None
    assert (found.batch.batch_id, found.batch.ends) == (3, {("asked", 0): 40, ("asked", 1): 9})
