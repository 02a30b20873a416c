"""Starts processes in order, waits until each is ready, restarts what dies with back-off, stops all of them cleanly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from lakehouse.core import files, run_state
from lakehouse.core.processes import create_time
from lakehouse.core.restart_policy import MAX_FAILURES, STABLE_SECONDS, wait_after
from lakehouse.environment import ours
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.ops import log_writer
from lakehouse.settings import ROOT, settings

TICK = 0.2
LAST_BYTES = 100_000  # of a log, for an error sentence
WORKING = 0.04  # of a core: an idle JVM takes less, one that starts on a crowded machine more


@dataclass
class Service:
    """A process to run. `ready` tells when it serves; `once` marks one that ends by itself when its work is done."""

    name: str
    command: Callable[[], list[str]]
    ready: Callable[["Service"], bool] = lambda _service: True
    once: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 120.0
    grace: float = 75.0
    stop_signal: int = signal.SIGTERM

    process: "subprocess.Popen[bytes] | None" = None
    state: str = "not started"
    restarts: int = 0
    failures: int = 0  # in a row, of its own; what waiting heals is none
    tries: int = 0  # in a row, of either kind
    started_at: float = 0.0
    retry_at: float = 0.0
    last_error: str = ""
    _pump: "subprocess.Popen[bytes] | None" = None
    _said: int = -1

    @property
    def log_file(self) -> Path:
        """Where the process's output goes."""
        return settings().log / f"{self.name}.log"

    def start(self) -> None:
        """Start the process in a session of its own, so that a Ctrl-C in the terminal reaches only the supervisor."""
        command = self.command()
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        said = self._open_log()
        try:
            os.write(said, f"--- {self.name} started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                cwd=ROOT,
                env={**ours(), **self.env},
            )
        finally:
            os.close(said)
        self.started_at, self.state = time.time(), "starting"

    def _open_log(self) -> int:
        """Where the process is to write: a pipe, whose other end stays open here should its pump be killed."""
        self.close_log()
        self._said, say = os.pipe()
        self._start_pump()
        return say

    def _start_pump(self) -> None:
        command = [sys.executable, "-I", "-S", log_writer.__file__, str(self.log_file)]
        self._pump = subprocess.Popen(command, stdin=self._said, start_new_session=True)

    def keep_log(self) -> None:
        """Have its output written down still, though the pump has been killed."""
        if self._pump is not None and self._pump.poll() is not None:
            self._start_pump()

    def close_log(self, seconds: float = 1.0) -> None:
        """Let go of the log of a process that has ended, once it is written; what it left behind may write on."""
        if self._pump is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._pump.wait(seconds)
        os.close(self._said)
        self._pump = None

    def last_lines(self, count: int = 3) -> str:
        """The end of the log of a process that has ended, for an error sentence."""
        self.close_log()
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(max(0, self.log_file.stat().st_size - LAST_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        told = [line for line in lines if line.startswith("Error:")] or lines
        return " | ".join(told[-count:])[:600]


class Supervisor:
    """Runs services until told to stop; tells other processes what runs through var/run/processes.json."""

    def __init__(self, say: Callable[[str], None], about: Mapping[str, Any]) -> None:
        self._say = say
        self._about = dict(about)
        self._services: list[Service] = []
        self._waiting: list[tuple[Service, Sequence[Service]]] = []
        self._stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)

    def _asked_to_stop(self, *_: object) -> None:
        self._stop = True

    @property
    def stopping(self) -> bool:
        """Whether a signal has asked for the end."""
        return self._stop

    def tell(self, **about: Any) -> None:
        """Add to what other processes are told."""
        self._about.update(about)
        self._write_state()

    def start(self, service: Service) -> None:
        """Start a service without waiting for it."""
        self._services.append(service)
        service.start()
        self._write_state()

    def start_after(self, service: Service, others: Sequence[Service]) -> None:
        """Start a service once the others have done their work, or failed at it for good."""
        self._waiting.append((service, others))

    def wait(self, service: Service) -> bool:
        """Wait until it is ready (`once`: has ended well); False when stopped. Raises LakeError when it fails.

        `timeout` is for a process that does nothing: one that works (a slow machine) is waited for.
        """
        until, worked = time.monotonic() + service.timeout, 0.0
        while not self._stop:
            assert service.process is not None
            code = service.process.poll()
            if code is not None and (code != 0 or not service.once):
                raise LakeError(f"{service.name} ended with exit code {code}: {service.last_lines()}")
            if code == 0 if service.once else self._ready(service, refusing=True):
                service.state = "finished" if service.once else "running"
                self._write_state()
                return True
            if time.monotonic() > until:
                before, worked = worked, _cpu_seconds(service.process.pid)
                if worked - before < WORKING * service.timeout:
                    because = f": {service.last_error.rstrip('.')}" if service.last_error else ""
                    raise LakeError(
                        f"{service.name} was not ready within {service.timeout:.0f} s{because}.",
                        f"`lake logs {service.name}` says more.",
                    )
                self._say(f"{service.name} is not ready after {service.timeout:.0f} s, but works; waiting on.")
                until = time.monotonic() + service.timeout
            time.sleep(TICK)
        return False

    def run(self) -> None:
        """Watch the services until asked to stop."""
        while not self._stop:
            for service in self._services:
                self._tend(service)
            for waiting in list(self._waiting):
                if all(other.state in ("finished", "failed") for other in waiting[1]):
                    self._waiting.remove(waiting)
                    self._services.append(waiting[0])
                    self._begin(waiting[0])
            time.sleep(TICK)

    def _ready(self, service: Service, refusing: bool = False) -> bool:
        """Whether it serves; a check that breaks is an answer not had, and ends nothing but itself.

        At the start of the lake (`refusing`) what the check itself says, a LakeError, is raised.
        """
        try:
            ready = service.ready(service)
        except Exception as error:
            if refusing and isinstance(error, LakeError):
                raise
            said = str(error) if isinstance(error, LakeError) else f"{type(error).__name__}: {error}"
            if said != service.last_error:
                service.last_error = said
                self._say(f"{service.name} could not be asked whether it is ready: {said}")
                self._write_state()
            return False
        return ready

    def _tend(self, service: Service) -> None:
        if service.state == "backing off":
            if time.time() >= service.retry_at:
                service.restarts += 1
                self._begin(service)
            return
        if service.process is None or service.state in ("finished", "failed"):
            return
        code = service.process.poll()
        if code is None:
            service.keep_log()
            if service.state == "starting" and self._ready(service):
                service.state = "running"
                self._write_state()
            if service.tries and time.time() - service.started_at > STABLE_SECONDS:
                service.failures = service.tries = 0
            return
        self._ended(service, code)

    def _begin(self, service: Service) -> None:
        """Start it; what keeps it from being started counts as its end."""
        try:
            service.start()
        except Exception as error:  # a full disk (Kafka's start writes its settings), a program that is gone
            service.process = None
            refused = isinstance(error, RefusedError)
            self._failed(service, str(error), refused, isinstance(error, UnavailableError | OSError))
        self._write_state()

    def _failed(self, service: Service, why: str, refused: bool, heals: bool) -> None:
        """Start it again later: for ever where waiting heals it, five times where not, never where it was refused."""
        service.tries, service.last_error = service.tries + 1, why
        service.failures += not heals
        service.state = "failed"
        if refused:  # the same start would be refused again
            self._say(f"{service.name} is left alone: {why}")
        elif service.failures >= MAX_FAILURES and not heals:
            self._say(f"{service.name} failed {MAX_FAILURES} times in a row and is left alone: {why}")
        else:
            wait = wait_after(service.tries)
            service.state, service.retry_at = "backing off", time.time() + wait
            self._say(f"{service.name} ended ({why}); starting it again in {wait:.0f} s.")

    def _ended(self, service: Service, code: int) -> None:
        if code == 0 and service.once:
            service.state = "finished"
            service.close_log()
        else:
            why = f"exit code {code}: {service.last_lines(1)}"
            self._failed(service, why, code == RefusedError.exit_code, _heals(code))
        self._write_state()

    def stop(self) -> None:
        """Stop the services, last started first: its signal to each pid, SIGKILL to its session after its grace."""
        for service in reversed(self._services):
            self._stop_one(service)
            service.state = "stopped"
            self._write_state()
        run_state.processes_file().unlink(missing_ok=True)
        settings().broker_file.unlink(missing_ok=True)

    def _stop_one(self, service: Service) -> None:
        process = service.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(service.stop_signal)
        try:
            process.wait(service.grace)
        except subprocess.TimeoutExpired:
            self._say(f"{service.name} did not stop within {service.grace:.0f} s and is killed.")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        service.close_log()

    def _write_state(self) -> None:
        listed = [
            {
                "name": service.name,
                "pid": service.process.pid if service.process else None,
                "create_time": create_time(service.process.pid) if service.process else None,
                "stop_signal": int(service.stop_signal),
                "state": service.state,
                "restarts": service.restarts,
                "started_at": datetime.fromtimestamp(service.started_at, UTC).isoformat(),
                "last_error": service.last_error,
            }
            for service in self._services
        ]
        own = {"supervisor_pid": os.getpid(), "supervisor_create_time": create_time(os.getpid())}
        told = {**self._about, **own, "processes": listed}
        with suppress(OSError):  # a full disk
            run_state.write_json(run_state.processes_file(), told)


def _heals(code: int) -> bool:
    """Whether waiting helps: what was needed did not answer, or the disk is full, of which Kafka dies with code 1."""
    return code == UnavailableError.exit_code or files.is_full(settings().var)


def _cpu_seconds(pid: int) -> float:
    """Processor time that the process and its children have used."""
    try:
        process = psutil.Process(pid)
        used = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return float(sum(times.user + times.system for times in used))
