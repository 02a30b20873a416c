"""Logs of processes that never end: bounded, without a line lost, while somebody follows them."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.ops import log_writer
from lakehouse.ops.service import Service
from tests.waiting import wait_for

LINES = 20_000
TALKS = f"for n in range({LINES}): print('line', n, flush=n % 100 == 0)"


def pumped(log: Path, code: str, most: int) -> None:
    """Run Python code with its output through the pump."""
    command = [sys.executable, "-I", "-S", log_writer.__file__, str(log), str(most)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE)
    subprocess.run([sys.executable, "-c", code], stdout=writer.stdin, check=True)
    assert writer.stdin
    writer.stdin.close()
    assert writer.wait(20) == 0


def test_a_long_log_is_rotated_at_a_line(tmp_path: Path) -> None:
    log = tmp_path / "a b é.log"
    pumped(log, TALKS, most=150_000)
    old, new = (file.read_text().splitlines() for file in (Path(f"{log}.1"), log))
    assert [*old, *new] == [f"line {n}" for n in range(LINES)]
    assert len(old) > 1000
    pumped(log, TALKS, most=30_000)
    assert log.stat().st_size <= 30_000 + 65536
    assert Path(f"{log}.1").stat().st_size <= 30_000 + 65536


def test_who_follows_the_log_misses_no_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("line 0\n")
    with (tmp_path / "seen").open("wb") as seen:
        tail = subprocess.Popen(["tail", "-n", "1", "-F", str(log)], stdout=seen, stderr=subprocess.DEVNULL)
        try:
            slowly = "import time\nfor n in range(1, 2000):\n print('line', n, flush=True)\n n % 50 or time.sleep(0.02)"
            pumped(log, slowly, most=10_000)
            until = time.monotonic() + 20
            while "line 1999" not in (tmp_path / "seen").read_text() and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            tail.kill()
            tail.wait()
    assert (tmp_path / "seen").read_text().splitlines() == [f"line {n}" for n in range(2000)]


def test_a_full_disk_does_not_stop_who_talks() -> None:
    began = time.monotonic()
    pumped(Path("/dev/full"), "print('x' * 1_000_000)", most=10_000_000)
    assert time.monotonic() - began < 20


@pytest.fixture
def talker() -> Iterator[Service]:
    code = "import time\nfor n in range(9999): print('line', n, flush=True); time.sleep(0.01)"
    service = Service("talker", lambda: [sys.executable, "-c", code])
    service.start()
    yield service
    if service.process:
        service.process.kill()
        service.process.wait()
    service.close_log()


def lines_in_log(service: Service) -> list[int]:
    text = service.log_file.read_text() if service.log_file.exists() else ""
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("line ")]


@pytest.mark.usefixtures("lake")
def test_a_pump_that_is_killed_is_replaced_and_the_process_hears_nothing_of_it(talker: Service) -> None:
    wait_for(lambda: lines_in_log(talker), 20)
    assert talker._log_writer and talker.process
    talker._log_writer.send_signal(signal.SIGKILL)
    talker._log_writer.wait()
    seen = len(lines_in_log(talker))
    talker.keep_log()
    wait_for(lambda: len(lines_in_log(talker)) > seen + 5, 20)
    assert talker.process.poll() is None
    assert lines_in_log(talker) == list(range(len(lines_in_log(talker))))
