"""A process of the platform: how it is started and stopped, and where its output goes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.core import processes
from lakehouse.core.restart_policy import RestartPolicy
from lakehouse.core.run_state import ProcessRecord
from lakehouse.core.states import ProcessState
from lakehouse.environment import ours
from lakehouse.ops import log_writer
from lakehouse.settings import ROOT, settings

LAST_BYTES = 100_000  # of a log, for an error sentence


@dataclass
class Service:
    """A process to run. `ready` says whether it serves; `once` marks one that ends when its work is done.

    `queries` are the streaming queries that it runs, by full name.
    """

    name: str
    command: Callable[[], list[str]]
    ready: Callable[["Service"], bool] = lambda _service: True
    once: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 120.0
    grace: float = 75.0
    stop_signal: int = signal.SIGTERM
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    queries: tuple[str, ...] = ()

    process: "subprocess.Popen[bytes] | None" = None
    state: ProcessState = ProcessState.NOT_STARTED
    started_at: float = 0.0
    last_error: str = ""
    _log_writer: "subprocess.Popen[bytes] | None" = None
    _log_pipe: int = -1  # the end that the log writer reads

    @property
    def log_file(self) -> Path:
        """Where the process's output goes."""
        return settings().log / f"{self.name}.log"

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C in the terminal goes to the supervisor only."""
        command = self.command()
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        output = self._open_log()
        try:
            os.write(output, f"--- {self.name} started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=ROOT,
                env={**ours(), **self.env},
            )
        finally:
            os.close(output)
        self.started_at, self.state = time.time(), ProcessState.STARTING
        self.policy.started()

    def stop(self) -> bool:
        """Send the process its signal, and after its grace SIGKILL to its session; False if that was needed."""
        process = self.process
        if process is None or process.poll() is not None:
            return True
        process.send_signal(self.stop_signal)
        try:
            process.wait(self.grace)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
        finally:
            self.close_log()
        return True

    def _open_log(self) -> int:
        """A pipe to the log writer. Its other end stays open here, in case the log writer is killed."""
        self.close_log()
        self._log_pipe, output = os.pipe()
        self._start_log_writer()
        return output

    def _start_log_writer(self) -> None:
        command = [sys.executable, "-I", "-S", log_writer.__file__, str(self.log_file)]
        self._log_writer = subprocess.Popen(command, stdin=self._log_pipe, start_new_session=True)

    def keep_log(self) -> None:
        """Start the log writer again if it was killed."""
        if self._log_writer is not None and self._log_writer.poll() is not None:
            self._start_log_writer()

    def close_log(self, seconds: float = 1.0) -> None:
        """Close the log of a process that has ended, once it is written. Its children may still write to it."""
        if self._log_writer is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._log_writer.wait(seconds)
        os.close(self._log_pipe)
        self._log_writer = None

    def last_lines(self, count: int = 3) -> str:
        """The end of the log of a process that has ended, for an error sentence."""
        self.close_log()
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(max(0, self.log_file.stat().st_size - LAST_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("Error:")] or lines
        return " | ".join(errors[-count:])[:600]

    def record(self) -> ProcessRecord:
        """What other processes can read about it."""
        pid = self.process.pid if self.process else None
        return ProcessRecord(
            name=self.name,
            pid=pid,
            create_time=processes.create_time(pid) if pid else None,
            stop_signal=int(self.stop_signal),
            state=self.state,
            restarts=self.policy.restarts,
            started_at=datetime.fromtimestamp(self.started_at, UTC).isoformat(),
            last_error=self.last_error,
            queries=self.queries,
        )
