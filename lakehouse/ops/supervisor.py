"""Starts processes in order, waits until each is ready, restarts those that fail, stops all of them cleanly."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from lakehouse.core import files, processes, run_state
from lakehouse.core.restart_policy import Failure, failure_of
from lakehouse.core.run_state import LakeRecord
from lakehouse.core.states import ProcessState
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.ops.service import Service
from lakehouse.settings import settings

TICK = 0.2
WORKING = 0.04  # of a core: an idle JVM takes less, one that starts on a crowded machine more


class Supervisor:
    """Runs services until it is asked to stop; var/run/processes.json says to other processes what runs."""

    def __init__(self, say: Callable[[str], None], domains: Sequence[str] = (), started_at: str = "") -> None:
        self._say = say
        pid = os.getpid()
        self._record = LakeRecord(pid, processes.create_time(pid), started_at, tuple(domains))
        self._services: list[Service] = []
        self._waiting: list[tuple[Service, Sequence[Service]]] = []
        self._stop = False

    def handle_signals(self) -> None:
        """Stop on SIGTERM and Ctrl-C."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request_stop)

    def request_stop(self, *_: object) -> None:
        """Have `wait` and `run` return."""
        self._stop = True

    def publish(self, bootstrap_servers: str | None = None, dashboard_url: str | None = None) -> None:
        """Add an address to what other processes can read."""
        known = self._record
        self._record = replace(
            known,
            bootstrap_servers=bootstrap_servers or known.bootstrap_servers,
            dashboard_url=dashboard_url or known.dashboard_url,
        )
        self._write_record()

    def start(self, service: Service) -> None:
        """Start a service without waiting for it."""
        self._services.append(service)
        service.start()
        self._write_record()

    def start_after(self, service: Service, others: Sequence[Service]) -> None:
        """Start a service once the others have finished, or have failed and will not be restarted."""
        self._waiting.append((service, others))

    def wait(self, service: Service) -> bool:
        """Wait until it is ready (`once`: has finished); False if stopped meanwhile. Raises LakeError when it fails.

        `timeout` is for a process that does nothing: one that works (a slow machine) gets more time.
        """
        until, worked = time.monotonic() + service.timeout, 0.0
        while not self._stop:
            assert service.process is not None
            code = service.process.poll()
            if code is not None and (code != 0 or not service.once):
                raise LakeError(f"{service.name} ended with exit code {code}: {service.last_lines()}")
            if code == 0 if service.once else self._ready(service, refusing=True):
                self._enter(service, ProcessState.FINISHED if service.once else ProcessState.RUNNING)
                return True
            if time.monotonic() > until:
                before, worked = worked, processes.cpu_seconds(service.process.pid)
                if worked - before < WORKING * service.timeout:
                    raise _not_ready(service)
                self._say(f"{service.name} is not ready after {service.timeout:.0f} s, but it works; still waiting.")
                until = time.monotonic() + service.timeout
            time.sleep(TICK)
        return False

    def run(self) -> None:
        """Watch the services until asked to stop."""
        while not self._stop:
            for service in self._services:
                self._poll(service)
            for waiting in list(self._waiting):
                service, others = waiting
                if all(other.state in (ProcessState.FINISHED, ProcessState.FAILED) for other in others):
                    self._waiting.remove(waiting)
                    self._services.append(service)
                    self._begin(service)
            time.sleep(TICK)

    def _ready(self, service: Service, refusing: bool = False) -> bool:
        """Whether it serves; if the check itself breaks, that is noted and the answer is no.

        At the start of the lake (`refusing`) a LakeError of the check is raised.
        """
        try:
            return service.ready(service)
        except Exception as error:
            if refusing and isinstance(error, LakeError):
                raise
            why = str(error) if isinstance(error, LakeError) else f"{type(error).__name__}: {error}"
            if why != service.last_error:
                service.last_error = why
                self._say(f"Cannot check whether {service.name} is ready: {why}")
                self._write_record()
            return False

    def _poll(self, service: Service) -> None:
        if service.state is ProcessState.BACKING_OFF:
            if service.policy.restart_due():
                self._begin(service)
            return
        if service.process is None or service.state in (ProcessState.FINISHED, ProcessState.FAILED):
            return
        code = service.process.poll()
        if code is not None:
            self._ended(service, code)
            return
        service.keep_log()
        service.policy.runs()
        if service.state is ProcessState.STARTING and self._ready(service):
            self._enter(service, ProcessState.RUNNING)

    def _begin(self, service: Service) -> None:
        """Start it; an error that prevents the start counts like a process that fails."""
        try:
            service.start()
        except Exception as error:  # a full disk (Kafka's start writes its settings), a program that is gone
            service.process = None
            self._failed(service, str(error), failure_of(error))
        self._write_record()

    def _ended(self, service: Service, code: int) -> None:
        if code == 0 and service.once:
            service.close_log()
            self._enter(service, ProcessState.FINISHED)
        else:
            self._failed(service, f"exit code {code}: {service.last_lines(1)}", _failure_of(code))
            self._write_record()

    def _failed(self, service: Service, why: str, failure: Failure) -> None:
        service.last_error = why
        wait = service.policy.failed(failure)
        service.state = ProcessState.FAILED if wait is None else ProcessState.BACKING_OFF
        if wait is not None:
            self._say(f"{service.name} ended ({why}); restarting it in {wait:.0f} s.")
        elif failure is Failure.REFUSED:
            self._say(f"{service.name} will not be restarted: {why}")
        else:
            times = service.policy.failures
            self._say(f"{service.name} failed {times} times in a row and will not be restarted: {why}")

    def stop(self) -> None:
        """Stop the services, the last started first, and remove what other processes read."""
        for service in reversed(self._services):
            if not service.stop():
                self._say(f"{service.name} did not stop within {service.grace:.0f} s and was killed.")
            self._enter(service, ProcessState.STOPPED)
        run_state.processes_file().unlink(missing_ok=True)
        settings().broker_file.unlink(missing_ok=True)

    def _enter(self, service: Service, state: ProcessState) -> None:
        service.state = state
        self._write_record()

    def _write_record(self) -> None:
        self._record = replace(self._record, processes=tuple(service.record() for service in self._services))
        with suppress(OSError):  # a full disk
            run_state.write_lake(self._record)


def _not_ready(service: Service) -> LakeError:
    because = f": {service.last_error.rstrip('.')}" if service.last_error else ""
    what = f"{service.name} was not ready within {service.timeout:.0f} s{because}."
    return LakeError(what, f"`lake logs {service.name}` says more.")


def _failure_of(code: int) -> Failure:
    """The kind of failure that an exit code means; of a full disk Kafka dies with code 1."""
    if code == RefusedError.exit_code:
        return Failure.REFUSED
    heals = code == UnavailableError.exit_code or files.is_full(settings().var)
    return Failure.HEALS if heals else Failure.OWN
