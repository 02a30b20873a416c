"""What a driver, a supervisor and a history leave on disk, written by a test."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import psutil

from lakehouse.core import run_state
from lakehouse.streaming import checkpoints, progress_metrics

ENDS = {"houses": {"0": 97, "1": 50}}
STATE = {"operatorName": "stateStoreSave", "numRowsTotal": 24, "memoryUsedBytes": 9376}


def checkpoint(query: str, batch: int = 9, ends: Mapping[str, Any] = ENDS, watermark_ms: int = 0) -> None:
    """A committed batch of houses/<query>."""
    folder = checkpoints.path("houses", query)
    for name in ("offsets", "commits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = ["v1", json.dumps({"batchWatermarkMs": watermark_ms}), json.dumps(ends)]
    (folder / "offsets" / str(batch)).write_text("\n".join(lines))
    (folder / "commits" / str(batch)).write_text("v1\n{}")


def progress(query: str, written_at: datetime | None = None, **changed: Any) -> None:
    """The progress file of houses/<query> as the driver writes it."""
    values = {
        "timestamp": "2026-05-01T11:59:59.000Z",
        "inputRowsPerSecond": 20.25,
        "processedRowsPerSecond": 40.5,
        "durationMs": {"triggerExecution": 450, "addBatch": 300},
        "stateOperators": [STATE],
        "trigger": "0 seconds",
        "error": "",
    }
    written = (written_at or datetime.now(UTC)).isoformat()
    run_state.write_json(run_state.progress_file("houses", query), values | {"written_at": written} | changed)


def processes(**changed: Any) -> None:
    """The supervisor's file with one process, this one, called houses.stream."""
    own = {"name": "houses.stream", "pid": os.getpid(), "create_time": psutil.Process().create_time()}
    own |= {"state": "running", "restarts": 0, "started_at": "2026-05-01T11:00:00+00:00", "last_error": ""}
    supervisor = {"supervisor_pid": os.getpid(), "supervisor_create_time": own["create_time"]}
    run_state.write_json(run_state.processes_file(), {**supervisor, "processes": [own | changed]})


def history(name: str, samples: Iterator[tuple[float, dict[str, float]]]) -> None:
    """A series on disk: seconds before now, and values."""
    recorder = progress_metrics.Recorder(name)
    now = time.time()
    for ago, values in samples:
        assert recorder.record(values, now - ago)
