"""The supervisor with real processes that start, die and stop."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lakehouse.core import restart_policy, run_state
from lakehouse.errors import LakeError, UnavailableError
from lakehouse.ops import status
from lakehouse.ops.service import Service
from lakehouse.ops.supervisor import Supervisor

pytestmark = pytest.mark.usefixtures("lake")
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print('up', flush=True)
time.sleep(600)
"""


def python(code: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-c", code]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor(lambda line: None)
    yield supervisor
    supervisor.stop()


def up(service: Service) -> bool:
    return "up" in service.log_file.read_text()


def run_until(supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Let the supervisor watch in this thread until the condition holds."""

    def end() -> None:
        until = time.monotonic() + seconds
        while not condition() and time.monotonic() < until:
            time.sleep(0.05)
        supervisor.request_stop()

    threading.Thread(target=end, daemon=True).start()
    supervisor.run()
    return condition()


def test_it_waits_until_a_service_is_ready_and_tells_others(supervisor: Supervisor) -> None:
    service = Service("polite", python(POLITE), ready=up)
    supervisor.start(service)
    assert supervisor.wait(service)
    processes = json.loads(run_state.processes_file().read_text())["processes"]
    assert [(process["name"], process["state"]) for process in processes] == [("polite", "running")]
    assert [process.name for process in status.running_processes()] == ["polite"]


def test_a_service_that_dies_at_its_start_is_an_error_with_its_own_words(supervisor: Supervisor) -> None:
    service = Service("broken", python("import sys; sys.exit('Error: no cheese.')"), ready=up)
    supervisor.start(service)
    with pytest.raises(LakeError, match="broken ended with exit code 1: Error: no cheese"):
        supervisor.wait(service)


def test_a_service_that_works_is_waited_for_and_one_that_does_nothing_is_not(supervisor: Supervisor) -> None:
    works = "import time\nuntil = time.process_time() + 3\nwhile time.process_time() < until: pass\n"
    slow = Service("slow", python(works + POLITE), ready=up, timeout=1.0)
    supervisor.start(slow)
    assert supervisor.wait(slow)
    idle = Service("idle", python("import time; time.sleep(600)"), ready=lambda _: False, timeout=1.0)
    supervisor.start(idle)
    with pytest.raises(LakeError, match="idle was not ready within 1 s"):
        supervisor.wait(idle)


def test_a_start_that_was_refused_is_not_tried_again(supervisor: Supervisor) -> None:
    service = Service("refused", python("import sys; print('Error: no.'); sys.exit(78)"))
    supervisor.start(service)
    assert run_until(supervisor, lambda: service.state == "failed")
    assert (service.policy.restarts, service.policy.failures) == (0, 1)


def test_a_service_that_lacks_something_is_tried_until_it_is_there(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1)
    marker = tmp_path / "there"
    waits = f"import pathlib, sys\nif not pathlib.Path({str(marker)!r}).exists(): sys.exit(69)\n"
    service = Service("waits", python(waits + POLITE), ready=up)
    supervisor.start(service)
    assert run_until(supervisor, lambda: service.state == "backing off")
    marker.touch()
    supervisor._stop = False
    assert run_until(supervisor, lambda: service.state == "running")


def test_a_service_that_is_killed_is_started_again(supervisor: Supervisor) -> None:
    service = Service("polite", python(POLITE), ready=up)
    supervisor.start(service)
    assert supervisor.wait(service)
    assert service.process
    os.kill(service.process.pid, signal.SIGKILL)
    assert run_until(supervisor, lambda: service.policy.restarts == 1 and service.state == "running")


def test_a_service_that_fails_again_and_again_is_left_alone(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 2)
    service = Service("broken", python("import sys; sys.exit('Error: no cheese.')"))
    supervisor.start(service)
    assert run_until(supervisor, lambda: service.state == "failed")
    assert service.policy.restarts == 1
    assert "no cheese" in service.last_error


def test_work_that_is_done_is_not_started_again(supervisor: Supervisor) -> None:
    service = Service("once", python("pass"), once=True)
    supervisor.start(service)
    assert run_until(supervisor, lambda: service.state == "finished")
    assert service.policy.restarts == 0


def test_stop_ends_all_and_kills_what_does_not_listen(supervisor: Supervisor) -> None:
    stubborn = (
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    services = [Service("polite", python(POLITE), ready=up), Service("stubborn", python(stubborn), ready=up, grace=0.5)]
    for service in services:
        supervisor.start(service)
        assert supervisor.wait(service)
    pids = [service.process.pid for service in services if service.process]
    supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not run_state.processes_file().exists()


def test_what_is_to_come_after_others_starts_when_they_are_done_or_have_failed(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1)
    done = Service("done", python("import time; time.sleep(1)"), once=True)
    broken = Service("broken", python("raise SystemExit(3)"), once=True)
    last = Service("last", python("print('up')"), once=True)
    for service in (done, broken):
        supervisor.start(service)
    supervisor.start_after(last, [done, broken])
    assert run_until(supervisor, lambda: last.state == "finished")
    assert (done.state, broken.state) == ("finished", "failed")
    assert last.started_at > done.started_at + 1


def test_what_waiting_heals_is_none_of_the_five_failures(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 2)
    monkeypatch.setattr(restart_policy, "wait_after", lambda tries: 0.0)
    codes = iter([69, 69, 1, 69, 1])
    service = Service("waits", lambda: [sys.executable, "-c", f"import sys; sys.exit({next(codes)})"])
    supervisor.start(service)
    assert run_until(supervisor, lambda: service.state == "failed")
    assert (service.policy.failures, service.policy.tries, service.policy.restarts) == (2, 5, 4)


@pytest.mark.parametrize("error", [UnavailableError("PostgreSQL is not installed."), LakeError("No."), ValueError("x")])
def test_a_command_that_cannot_be_made_takes_nobody_else_along(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 2)
    monkeypatch.setattr(restart_policy, "wait_after", lambda tries: 0.0)
    first = iter([[sys.executable, "-c", "raise SystemExit(1)"]])

    def command() -> list[str]:
        for known in first:
            return known
        raise error

    broken, polite = Service("broken", command), Service("polite", python(POLITE), ready=up)
    for service in (broken, polite):
        supervisor.start(service)
    heals = isinstance(error, UnavailableError)
    assert run_until(supervisor, lambda: broken.policy.restarts > 3 if heals else broken.state == "failed")
    assert str(error) in broken.last_error
    assert polite.process and polite.process.poll() is None


def test_a_ready_check_that_breaks_ends_nothing(supervisor: Supervisor) -> None:
    def broken(_: Service) -> bool:
        raise ValueError("no number")

    asked, polite = Service("asked", python(POLITE), ready=broken), Service("polite", python(POLITE), ready=up)
    for service in (asked, polite):
        supervisor.start(service)
    assert run_until(supervisor, lambda: polite.state == "running")
    assert (asked.state, asked.last_error) == ("starting", "ValueError: no number")
    waited = Service("waited", python(POLITE), ready=broken, timeout=0.5)
    supervisor._stop = False
    supervisor.start(waited)
    with pytest.raises(LakeError, match=r"waited was not ready within 0 s: ValueError: no number\."):
        supervisor.wait(waited)


def test_signals_stop_it_only_when_it_is_to_handle_them(supervisor: Supervisor) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    service = Service("polite", python(POLITE), ready=lambda _: False)
    assert signal.getsignal(signal.SIGTERM) != supervisor.request_stop
    supervisor.handle_signals()
    try:
        supervisor.start(service)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert not supervisor.wait(service)
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
