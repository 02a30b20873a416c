"""The history of measurements: bounded, readable while it is written, whole after a kill."""

import logging
import math
import threading
from pathlib import Path

import pytest

from lakehouse.streaming import progress_metrics
from lakehouse.streaming.progress_metrics import History, Recorder

NOON = 1_777_636_800.0  # 2026-05-01T12:00:00Z
pytestmark = pytest.mark.usefixtures("lake")


def test_what_one_process_recorded_another_reads_and_goes_on_reading() -> None:
    recorder, history = Recorder("houses.averages"), History("houses.averages")
    recorder.record({"lag": 5, "input": 20.25}, NOON)
    first = history.read()
    assert (first.at.tolist(), first.column("lag").tolist(), first.column("input").tolist()) == ([NOON], [5], [20.25])
    assert history.read() is first
    Recorder("houses.averages").record({"lag": 7}, NOON + 5)  # after a restart
    second = history.read()
    assert (second.at.tolist(), second.column("lag").tolist()) == ([NOON, NOON + 5], [5, 7])
    assert math.isnan(second.column("input")[1])


def test_a_line_every_five_seconds_is_enough() -> None:
    recorder = Recorder("q")
    assert [recorder.record({"lag": 1}, NOON + second) for second in (0, 1, 4.9, 5, 9.9, 10)] == [
        True, False, False, True, False, True,
    ]  # fmt: skip


def test_a_clock_set_back_does_not_silence_the_series() -> None:
    recorder = Recorder("q")
    assert recorder.record({"lag": 1}, NOON)
    assert recorder.record({"lag": 1}, NOON - 3600)


def test_numbers_that_are_none_are_left_out() -> None:
    Recorder("q").record({"lag": math.nan, "input": None, "seconds": math.inf, "state_rows": 24}, NOON)
    assert next(progress_metrics.folder("q").glob("*")).read_text() == '{"at":1777636800.0,"state_rows":24}\n'


def test_a_day_is_kept() -> None:
    recorder, history = Recorder("q"), History("q")
    for hour in range(30):
        recorder.record({"lag": hour}, NOON + hour * 3600)
        history.read()
    files = sorted(file.stem for file in progress_metrics.folder("q").glob("*.jsonl"))
    assert (files[0], files[-1], len(files)) == ("2026050117", "2026050217", 25)
    assert history.read().column("lag").tolist() == list(range(5, 30))
    assert History("q").read().column("lag").tolist() == list(range(5, 30))


def test_a_series_of_single_partitions_is_kept_for_as_long_as_it_is_shown() -> None:
    recorder, history = Recorder("q", hours=1), History("q", seconds=900)
    for step in range(40):
        recorder.record({f"houses:{step}": step}, NOON + step * 300)
        history.read()
    files = sorted(file.stem for file in progress_metrics.folder("q").glob("*.jsonl"))
    assert files == ["2026050114", "2026050115"]
    for kept in (history, History("q", seconds=900)):
        assert sorted(kept.read().values) == ["houses:36", "houses:37", "houses:38", "houses:39"]


def test_a_torn_or_half_written_line_is_left_out() -> None:
    recorder, history = Recorder("q"), History("q")
    recorder.record({"lag": 1}, NOON)
    file = next(progress_metrics.folder("q").glob("*"))
    with file.open("a") as lines:
        lines.write('{"at":1777636805.0,"la\n[1]\n{"at":"noon"}\n{"at":17776368')
    assert history.read().at.tolist() == [NOON]
    with file.open("a") as lines:
        lines.write('10.0,"lag":2}\n')
    assert history.read().column("lag").tolist() == [1, 2]


def test_time_goes_one_way_though_two_have_written() -> None:
    for at in (0, 5, 1, 10):
        Recorder("q").record({"lag": at}, NOON + at)
    assert History("q").read().column("lag").tolist() == [0, 5, 10]


def test_a_series_that_was_deleted_begins_again() -> None:
    history = History("q")
    for step in range(3):
        Recorder("q").record({"lag": 1}, NOON + step)
    assert len(history.read().at) == 3
    for file in progress_metrics.folder("q").glob("*"):
        file.unlink()
    Recorder("q").record({"lag": 2}, NOON + 60)
    assert history.read().column("lag").tolist() == [2]


def test_a_disk_that_refuses_ends_nothing(lake: Path) -> None:
    progress_metrics.folder("q").parent.mkdir(parents=True)
    progress_metrics.folder("q").write_text("a file where the folder should be")
    assert Recorder("q").record({"lag": 1}, NOON) is False


def test_the_part_since_a_moment() -> None:
    recorder = Recorder("q")
    for step in range(4):
        recorder.record({"lag": step}, NOON + step * 5)
    assert History("q").read().since(NOON + 10).column("lag").tolist() == [2, 3]


def test_what_is_kept_of_a_progress() -> None:
    operators = [{"numRowsTotal": 20}, {"numRowsTotal": 4}]
    progress = {"inputRowsPerSecond": math.nan, "processedRowsPerSecond": 40.5, "durationMs": {"triggerExecution": 450}}
    kept = progress_metrics.of_progress(progress | {"stateOperators": operators})
    assert kept == {"input": None, "processed": 40.5, "seconds": 0.45, "state_rows": 24}
    assert progress_metrics.of_progress({"durationMs": None})["state_rows"] is None


@pytest.mark.parametrize("partitions", [300, 5000])
def test_a_topic_of_many_partitions_has_its_lag_recorded(partitions: int, caplog: pytest.LogCaptureFixture) -> None:
    lags = {"lag": 10**9, **{f"houses:{part}": 10**6 + part for part in range(partitions)}}
    recorder = Recorder("q.lag")
    with caplog.at_level(logging.WARNING):
        assert [recorder.record(lags, NOON + 5 * step) for step in range(2)] == [True, True]
    series = History("q.lag").read()
    assert (series.column("lag").tolist(), series.column("houses:200").tolist()) == ([10**9] * 2, [10**6 + 200] * 2)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (partitions == 5000)
    assert all("of 5001 values" in line and "q.lag" in line for line in messages)


def test_long_lines_of_two_writers_do_not_mix() -> None:
    """Two dashboards of one lake, for the moment in which both believe to be the one that records."""
    lags = {"lag": 1, **{f"houses:{part}": part for part in range(900)}}

    def write(first: int) -> None:
        recorder = Recorder("q.lag")
        for step in range(first, 200, 2):
            recorder.record(lags, NOON + 5 * step)

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = next(progress_metrics.folder("q.lag").glob("*")).read_bytes().splitlines()
    assert (len(lines), len(list(progress_metrics._parsed(b"\n".join(lines))))) == (200, 200)
