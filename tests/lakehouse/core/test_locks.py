"""Locks between processes: refused, waited for, or only tried."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from lakehouse.core import locks
from lakehouse.core.locks import exclusive
from lakehouse.errors import LakeError, RefusedError


def test_a_second_holder_of_a_lock_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with exclusive(tmp_path / "x.lock", "The lake"):
        code = f"""
from pathlib import Path
from lakehouse.core.locks import exclusive
with exclusive(Path({str(tmp_path / "x.lock")!r}), "The lake"): pass
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"The lake is already running (pid {os.getpid()})" in done.stderr
    with exclusive(tmp_path / "x.lock", "The lake"):
        pass
    assert issubclass(RefusedError, LakeError)


def test_a_lock_that_is_only_tried_is_none_while_another_holds_it(tmp_path: Path) -> None:
    first = locks.try_lock(tmp_path / "folder/x.lock")
    assert first
    assert locks.try_lock(tmp_path / "folder/x.lock") is None
    first.close()
    assert locks.try_lock(tmp_path / "folder/x.lock")


def test_who_waits_comes_after_the_holder(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with locks.waiting(tmp_path / "x.lock"):
            order.append("second")

    with locks.waiting(tmp_path / "x.lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
