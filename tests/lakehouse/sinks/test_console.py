"""Rows in the terminal."""

from datetime import UTC, datetime

import pytest

from lakehouse.sinks.console import ConsoleSink
from lakehouse.streaming.batch import Batch


def test_each_row_is_a_line_once_the_batch_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    rows = [
        {"zone": "[red]", "units": 1, "at": at, "more": "x" * 200},
        {"zone": None, "units": 2, "at": at, "more": ""},
    ]
    show = ConsoleSink(["zone", "units", "at", "more"]).send(rows, Batch("gen", 0, {}, {}, None))
    assert capsys.readouterr().out == ""
    show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"zone=[red] units=1 at=2026-11-22 12:00:00+00:00 more={'x' * 200}"
    assert len(lines) == 2
