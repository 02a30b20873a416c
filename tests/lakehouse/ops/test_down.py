"""`lake down` after a crash: what the file names by pid may by now be another program's process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from lakehouse.core import processes, run_state
from lakehouse.ops import status

pytestmark = pytest.mark.usefixtures("lake")


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def note(supervisor: dict[str, Any], *listed: dict[str, Any]) -> None:
    about = {"restarts": 0, "started_at": "", "last_error": "", "state": "running"}
    run_state.write_json(
        run_state.processes_file(), {**supervisor, "processes": [{**about, **each} for each in listed]}
    )


@pytest.mark.parametrize("created", [{}, {"supervisor_create_time": time.time() - 9999}])
def test_a_pid_that_is_another_programs_by_now_is_left_alone(
    stranger: "subprocess.Popen[bytes]", created: dict[str, Any]
) -> None:
    pid = stranger.pid
    note({"supervisor_pid": pid, **created}, {"name": "kafka", "pid": pid, "create_time": time.time() - 9999})
    assert not status.read_status().running
    assert status.down(timeout=5) == []
    assert stranger.poll() is None
    assert not run_state.processes_file().exists()


def test_what_a_killed_supervisor_left_is_ended_by_its_own_signal(stranger: "subprocess.Popen[bytes]") -> None:
    pid = stranger.pid
    kept = {"name": "postgres", "pid": pid, "create_time": processes.create_time(pid), "stop_signal": signal.SIGINT}
    note({"supervisor_pid": 2**22 + 1, "supervisor_create_time": 1.0}, kept)
    assert status.down(timeout=20) == ["postgres"]
    assert stranger.wait(20) == -signal.SIGINT or stranger.returncode == 1  # KeyboardInterrupt


def test_a_process_is_found_by_its_start_time_and_not_by_its_pid() -> None:
    pid, created = os.getpid(), psutil.Process().create_time()
    found = processes.find(pid, created)
    assert found is not None and found.pid == pid
    assert [processes.find(*pair) for pair in ((pid, created - 9), (pid, None), (None, created), (2**22 + 1, 1.0))] == (
        [None] * 4
    )
