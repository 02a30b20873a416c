"""A full disk, a real one of 256 kB: the progress is written all the same, and what died of it is started again."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.core import restart_policy, run_state
from lakehouse.ops.service import Service
from lakehouse.ops.supervisor import Supervisor
from lakehouse.settings import settings
from tests.audit.disk import fill, small_disk

DIES_OF_IT = "import pathlib, sys, time\npathlib.Path(sys.argv[1]).write_bytes(bytes(4096))\ntime.sleep(600)"


@pytest.fixture
def disk(lake: Path) -> Iterator[Path]:
    """The var/ of this test on a small disk."""
    with small_disk(lake, "256k") as refused:
        if refused:
            assert not os.environ.get("CI"), refused  # there it has to be tried
            pytest.skip(refused)
        yield lake


def test_a_file_that_tells_what_runs_is_written_over_when_there_is_no_space(disk: Path) -> None:
    progress = run_state.progress_file("houses", "history")
    run_state.write_json(progress, {"state": "running", "sources": [{"offsets": list(range(200))}]})
    ballast = fill(disk)
    with pytest.raises(OSError, match="No space left"):
        (disk / "other").write_bytes(bytes(4096))
    run_state.write_json(progress, {"state": "backing off", "error": "The disk is full."})
    assert run_state.read_json(progress) == {"state": "backing off", "error": "The disk is full."}
    with pytest.raises(OSError, match="No space left"):
        run_state.write_json(progress, {"error": "x" * 9000})
    assert run_state.read_json(progress)["error"] == "The disk is full."
    with pytest.raises(OSError, match="No space left"):  # not that there is no such file
        run_state.write_json(run_state.progress_file("houses", "averages"), {"state": "running"})
    ballast.unlink()
    run_state.write_json(progress, {"state": "running"})
    assert run_state.read_json(progress) == {"state": "running"}


def test_what_died_of_a_full_disk_is_started_until_there_is_space(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1)
    monkeypatch.setattr(restart_policy, "wait_after", lambda failures: 0.1)
    supervisor = Supervisor(lambda line: None)
    asked = [sys.executable, "-c", DIES_OF_IT, str(disk / "wanted")]

    def command() -> list[str]:
        (disk / "settings").write_bytes(bytes(4096))  # as Kafka's start does, every other time
        (disk / "settings").unlink()
        return asked

    service = Service("kafka", lambda: command() if service.policy.restarts % 2 else asked)
    settings().log.mkdir(parents=True)
    service.log_file.touch()
    ballast = fill(disk)
    supervisor.start(service)
    watching = threading.Thread(target=supervisor.run, daemon=True)
    watching.start()
    try:
        until = time.monotonic() + 60
        while service.policy.restarts < 6 and time.monotonic() < until:
            time.sleep(0.05)
        assert (service.policy.restarts >= 6, service.state != "failed") == (True, True)
        ballast.unlink()
        while not (disk / "wanted").exists() or (disk / "wanted").stat().st_size < 4096:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        supervisor.request_stop()
        watching.join()
        supervisor.stop()


def test_log_lines_that_the_disk_refuses_are_dropped() -> None:
    program = "from lakehouse.entry import configure_logging as c\nimport structlog\nc()\n"
    program += "for _ in range(9): structlog.get_logger().error('x' * 2000)\nprint('alive')"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", program], stderr=full, stdout=subprocess.PIPE, check=False)
    assert done.stdout == b"alive\n"


def test_the_wait_stays_the_longest_after_a_night_of_failures() -> None:
    longest = restart_policy.LONGEST
    assert [restart_policy.wait_after(failures) for failures in (1, 2, 6, 5000)] == [1, 2, longest, longest]
