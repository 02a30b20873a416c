"""Starts processes in order, waits until each is ready, restarts what dies with back-off, stops all of them cleanly."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from lakehouse import durable, state
from lakehouse.backoff import MAX_FAILURES, STABLE_SECONDS, wait_after
from lakehouse.environment import ours
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.settings import ROOT, settings

TICK = 0.2
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
    failures: int = 0
    started_at: float = 0.0
    retry_at: float = 0.0
    last_error: str = ""

    @property
    def log_file(self) -> Path:
        """Where the process's output goes."""
        return settings().log / f"{self.name}.log"

    def start(self) -> None:
        """Start the process in a session of its own, so that a Ctrl-C in the terminal reaches only the supervisor."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > 20_000_000:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab", buffering=0) as log:
            with suppress(OSError):  # a full disk
                log.write(f"--- {self.name} started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=ROOT,
                env={**ours(), **self.env},
            )
        self.started_at, self.state = time.time(), "starting"

    def last_lines(self, count: int = 3) -> str:
        """The end of the process's log, for an error sentence."""
        lines = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
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
            if code == 0 if service.once else service.ready(service):
                service.state = "finished" if service.once else "running"
                self._write_state()
                return True
            if time.monotonic() > until:
                before, worked = worked, _cpu_seconds(service.process.pid)
                if worked - before < WORKING * service.timeout:
                    raise LakeError(
                        f"{service.name} was not ready within {service.timeout:.0f} s.",
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
                    self.start(waiting[0])
            time.sleep(TICK)

    def _tend(self, service: Service) -> None:
        if service.state == "backing off":
            if time.time() >= service.retry_at:
                self._start_again(service)
            return
        if service.process is None or service.state in ("finished", "failed"):
            return
        code = service.process.poll()
        if code is None:
            if service.state == "starting" and service.ready(service):
                service.state = "running"
                self._write_state()
            if service.failures and time.time() - service.started_at > STABLE_SECONDS:
                service.failures = 0
            return
        self._ended(service, code)

    def _start_again(self, service: Service) -> None:
        service.restarts += 1
        try:
            service.start()
        except OSError as error:  # a full disk: Kafka's start writes its settings
            service.failures += 1
            service.last_error = str(error)
            self._back_off(service)
        self._write_state()

    def _back_off(self, service: Service) -> None:
        wait = wait_after(service.failures)
        service.state, service.retry_at = "backing off", time.time() + wait
        self._say(f"{service.name} ended ({service.last_error}); starting it again in {wait:.0f} s.")

    def _ended(self, service: Service, code: int) -> None:
        if code == 0 and service.once:
            service.state = "finished"
        else:
            service.failures += 1
            service.last_error = f"exit code {code}: {service.last_lines(1)}"
            if code == RefusedError.exit_code:  # the same start would be refused again
                service.state = "failed"
                self._say(f"{service.name} is left alone: {service.last_error}")
            elif service.failures >= MAX_FAILURES and not _heals(code):
                service.state = "failed"
                self._say(
                    f"{service.name} failed {MAX_FAILURES} times in a row and is left alone: {service.last_error}"
                )
            else:
                self._back_off(service)
        self._write_state()

    def stop(self) -> None:
        """Stop the services, last started first: its signal to each pid, SIGKILL to its session after its grace."""
        for service in reversed(self._services):
            self._stop_one(service)
            service.state = "stopped"
            self._write_state()
        state.processes_file().unlink(missing_ok=True)
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

    def _write_state(self) -> None:
        listed = [
            {
                "name": service.name,
                "pid": service.process.pid if service.process else None,
                "create_time": _create_time(service.process.pid) if service.process else None,
                "state": service.state,
                "restarts": service.restarts,
                "started_at": datetime.fromtimestamp(service.started_at, UTC).isoformat(),
                "last_error": service.last_error,
            }
            for service in self._services
        ]
        told = {**self._about, "supervisor_pid": os.getpid(), "processes": listed}
        with suppress(OSError):  # a full disk
            state.write_json(state.processes_file(), told)


def _heals(code: int) -> bool:
    """Whether waiting helps: what was needed did not answer, or the disk is full, of which Kafka dies with code 1."""
    return code == UnavailableError.exit_code or durable.is_full(settings().var)


def _cpu_seconds(pid: int) -> float:
    """Processor time that the process and its children have used."""
    try:
        process = psutil.Process(pid)
        used = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return float(sum(times.user + times.system for times in used))


def _create_time(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
