"""What the queries' files say on a page, also when they say nothing."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard.live.broker import TopicView
from dashboard.live.queries import QueryView, query_view
from lakehouse.core import run_state
from lakehouse.streaming import checkpoints

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOPIC = TopicView("houses", events=150, rate=1.0, ends=((("houses", 0), 100), (("houses", 1), 50)))


def checkpoint(batch: int, ends: dict[str, int]) -> None:
    folder = checkpoints.path("houses", "averages")
    for name in ("offsets", "commits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = ["v1", json.dumps({"batchWatermarkMs": 0}), json.dumps({"houses": ends})]
    (folder / "offsets" / str(batch)).write_text("\n".join(lines))
    (folder / "commits" / str(batch)).write_text("v1\n{}")


def progress(**values: Any) -> None:
    run_state.write_json(run_state.progress_file("houses", "averages"), {"written_at": NOW.isoformat()} | values)


@pytest.mark.usefixtures("lake")
def test_a_query_without_checkpoint_has_not_started() -> None:
    assert query_view("houses", "averages", TOPIC, NOW) == QueryView("averages")


@pytest.mark.usefixtures("lake")
def test_a_running_query_tells_lag_batch_and_rate() -> None:
    checkpoint(8, {"0": 90, "1": 50})
    checkpoint(9, {"0": 97, "1": 50})
    progress(timestamp="2026-05-01T11:59:59.000Z", processedRowsPerSecond=40.5, durationMs={"triggerExecution": 450})
    view = query_view("houses", "averages", TOPIC, NOW)
    assert (view.state, view.lag, view.batch_id, view.rows_per_second) == ("running", 3, 9, 40.5)
    assert (view.batch_seconds, view.progressed_at) == (0.45, NOW - timedelta(seconds=1))


@pytest.mark.usefixtures("lake")
def test_a_query_that_has_fallen_silent_is_stopped_and_has_no_rate() -> None:
    checkpoint(1, {"0": 1})
    progress(processedRowsPerSecond=40.5)
    view = query_view("houses", "averages", TOPIC, NOW + timedelta(minutes=1))
    assert (view.state, view.rows_per_second) == ("stopped", None)


@pytest.mark.usefixtures("lake")
def test_lag_is_unknown_while_the_broker_is_silent() -> None:
    checkpoint(1, {"0": 1})
    assert query_view("houses", "averages", TopicView("houses", error="gone"), NOW).lag is None


@pytest.mark.usefixtures("lake")
def test_numbers_that_are_none_are_left_out() -> None:
    checkpoint(1, {"0": 1})
    progress(processedRowsPerSecond=float("nan"), durationMs=None)
    view = query_view("houses", "averages", TOPIC, NOW)
    assert (view.rows_per_second, view.batch_seconds) == (None, None)


def test_a_damaged_checkpoint_is_an_error_of_its_query(lake: Path) -> None:
    checkpoint(1, {"0": 1})
    (lake / "checkpoints/houses/averages/offsets/1").write_text("v1")
    assert "cannot be read" in query_view("houses", "averages", TOPIC, NOW).error
