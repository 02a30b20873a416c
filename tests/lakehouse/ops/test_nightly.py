"""The nightly run: its jobs in order, what fails, what hangs, and the next night; with real processes."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import psutil
import pytest

from jobs.houses.schema import DOMAIN as HOUSES
from lakehouse.cli import nightly as nightly_command
from lakehouse.contract.runs import Job
from lakehouse.core.locks import exclusive
from lakehouse.errors import LakeError, UsageError
from lakehouse.ops import nightly
from lakehouse.ops.nightly import Step
from lakehouse.settings import settings
from lakehouse.spark import submit
from tests.waiting import wait_for

LAKE = Path(sys.executable).parent / "lake"


def job(folder: Path, name: str, code: str) -> Step:
    """A script that stands for a nightly job."""
    path = folder / name
    path.write_text(code)
    return Step(f"houses/{name}", submit.command(str(path)))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    return subprocess.run([str(LAKE), *arguments], capture_output=True, text=True, check=False, cwd="/")


def test_jobs_run_in_order_silently_with_their_output_in_the_log(
    lake: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scripts = [job(tmp_path, name, f"print('{name} works')") for name in ("recompute.py", "train.py")]
    nightly.nightly(scripts)
    assert capfd.readouterr() == ("", "")
    log = (lake / "log/nightly.log").read_text()
    order = [log.index(text) for text in ("recompute.py works", "houses/recompute.py ended with 0", "train.py works")]
    assert order == sorted(order)


def test_a_failing_job_is_named_with_its_error_and_the_next_still_runs(lake: Path, tmp_path: Path) -> None:
    failing = job(
        tmp_path, "recompute.py", "import sys; print('Error: The disk is full.', file=sys.stderr); sys.exit(69)"
    )
    later = job(tmp_path, "train.py", "print('trained')")
    with pytest.raises(LakeError) as error:
        nightly.nightly([failing, later])
    assert str(error.value) == (
        f"The nightly run failed: houses/recompute.py (exit code 69: The disk is full). Log: {lake / 'log/nightly.log'}"
    )
    assert "trained" in (lake / "log/nightly.log").read_text()


def test_the_audit_comes_after_the_jobs_and_runs_as_the_command(lake: Path) -> None:
    found = nightly.steps(["houses"])
    names = ["houses/recompute.py", "houses/train.py", "houses/audit.py", "tables/maintain.py"]
    assert [step.name for step in found] == names
    with pytest.raises(LakeError, match=r"houses/audit.py \(exit code 69: No Kafka broker is known"):
        nightly.nightly(found[2:3])


def test_an_error_of_an_earlier_night_is_not_shown_again(lake: Path, tmp_path: Path) -> None:
    for code, ending in (
        ("import sys; sys.stderr.write('Error: Old.\\n'); sys.exit(1)", "1: Old"),
        ("import os; os.kill(os.getpid(), 9)", "-9"),
    ):
        with pytest.raises(LakeError, match=rf"\(exit code {ending}\)"):
            nightly.nightly([job(tmp_path, "train.py", code)])


@pytest.mark.parametrize(("code", "exit_code", "lines"), [("pass", 0, 0), ("raise SystemExit(65)", 1, 1)])
def test_the_process_is_silent_on_success_and_says_one_line_on_failure(
    lake: Path, tmp_path: Path, code: str, exit_code: int, lines: int
) -> None:
    script = job(tmp_path, "train.py", code)
    start = f"""
from lakehouse.cli import main
from lakehouse.ops import nightly
nightly.steps = lambda names: [nightly.Step(*{tuple(script)!r})]
main.main()
"""
    done = subprocess.run([sys.executable, "-c", start, "nightly"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (exit_code, "", lines)
    assert not lines or done.stderr.startswith("Error: The nightly run failed: houses/train.py (exit code 65). Log: ")


HANGING = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(600)
"""


def test_a_hanging_job_is_ended_with_all_it_started_and_the_next_still_runs(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_NIGHTLY_LIMIT_MINUTES", "0.15")
    monkeypatch.setattr(nightly, "GRACE", 0.3)
    settings.cache_clear()
    scripts = [job(tmp_path, "recompute.py", HANGING), job(tmp_path, "train.py", "print('trained')")]
    with pytest.raises(LakeError) as error:
        nightly.nightly(scripts)
    assert str(error.value) == (
        "The nightly run failed: houses/recompute.py (hung and was ended at its limit of 0.15 min, "
        f"nightly_limit_minutes). Log: {lake / 'log/nightly.log'}"
    )
    log = (lake / "log/nightly.log").read_text()
    assert "trained" in log
    child = int(re.findall(r"^child (\d+)$", log, re.MULTILINE)[0])
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    nightly.nightly([job(tmp_path, "train.py", "pass")])  # the lock is free


@pytest.mark.parametrize(
    ("now", "hours"), [("2026-05-01T02:00", 0.25), ("2026-05-01T02:15", 24), ("2026-05-01T14:15", 12)]
)
def test_the_next_night_is_the_next_time_of_that_clock(now: str, hours: float) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert nightly.seconds_until(clock(2, 15), moment) == hours * 3600


def service(steps: list[Step], at: str, more: str = "") -> "subprocess.Popen[str]":
    """`lake nightly --at` with these jobs."""
    start = f"""
from lakehouse.cli import main
from lakehouse.ops import nightly
nightly.steps = lambda names: [nightly.Step(*step) for step in {[tuple(step) for step in steps]}]
nightly.GRACE = 0.3
{more}
main.main()
"""
    command = [sys.executable, "-c", start, "nightly", "--at", at]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_service_runs_at_its_time_and_ends_its_job_when_stopped(lake: Path, tmp_path: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=5)).time().isoformat()
    running = service([job(tmp_path, "train.py", HANGING)], soon)
    log = lake / "log/nightly.log"
    child = wait_for(lambda: log.exists() and re.search(r"^child (\d+)$", log.read_text(), re.MULTILINE))
    running.terminate()
    assert running.wait(20) == 143
    assert not psutil.pid_exists(int(child[1])) or psutil.Process(int(child[1])).status() == psutil.STATUS_ZOMBIE


def test_after_a_night_that_failed_the_next_one_comes(lake: Path, tmp_path: Path) -> None:
    short_days = "nightly.seconds_until = lambda at, now: 0.1"
    running = service([job(tmp_path, "train.py", "raise SystemExit(65)")], "02:15", short_days)
    log = lake / "log/nightly.log"
    wait_for(lambda: log.exists() and log.read_text().count("ended with 65") > 1)
    running.terminate()
    _, errors = running.communicate(timeout=20)
    assert errors.startswith("Error: The nightly run failed: houses/train.py (exit code 65). Log: ")


def test_a_time_that_is_none(lake: Path) -> None:
    done = run("nightly", "--at", "noon")
    assert (done.returncode, done.stderr) == (
        2,
        "Error: --at takes a time of day in UTC; got 'noon'. For example --at \"02:15 UTC\".\n",
    )


@pytest.mark.parametrize("text", ["02:15 UTC", "02:15", "02:15Z", "04:15+02:00", "21:15-05:00", "07:45+05:30"])
def test_a_time_is_utc_unless_it_says_another_offset(text: str) -> None:
    assert nightly_command._clock(text) == clock(2, 15)


@pytest.mark.parametrize("text", ["02:15 Europe/Berlin", "02:15 PST", "02:15+02:00 UTC", "UTC"])
def test_a_clock_that_changes_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match=r"a time of day in UTC"):
        nightly_command._clock(text)


def test_a_second_run_at_the_same_time_is_refused(lake: Path) -> None:
    with exclusive(settings().run / "nightly.lock", "The test"):
        done = run("nightly", "houses")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == f"Error: The nightly run is already running (pid {os.getpid()}). Stop that one first.\n"
    assert not (lake / "log/nightly.log").exists()


def test_a_service_of_the_night_waits_for_that_of_another_domain(lake: Path, tmp_path: Path) -> None:
    code = "import fcntl, sys, time; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); print(flush=True)"
    other = f"{code}; time.sleep(1); open(sys.argv[2], 'w').close()"
    settings().run.mkdir(parents=True)
    lock, ended = settings().run / "nightly.lock", tmp_path / "ended"
    with subprocess.Popen([sys.executable, "-c", other, str(lock), str(ended)], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        nightly.nightly([job(tmp_path, "train.py", f"import os; print(os.path.exists({str(ended)!r}))")], waits=True)
    assert "True" in nightly.log_file().read_text()


def test_a_log_grown_large_is_rotated(lake: Path, tmp_path: Path) -> None:
    nightly.log_file().parent.mkdir(parents=True)
    nightly.log_file().write_bytes(b"x" * 6_000_000)
    nightly.nightly([job(tmp_path, "train.py", "pass")])
    assert nightly.log_file().stat().st_size < 1000
    assert (lake / "log/nightly.log.1").stat().st_size == 6_000_000


def test_the_jobs_are_those_that_domains_declare(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_, last = nightly.steps(["houses"])
    assert first.command[-1] == "jobs/houses/recompute.py"
    assert list(last.command[-2:]) == ["-m", "lakehouse.tables.maintain"]
    with pytest.raises(UsageError, match="There is no domain 'cheese'"):
        nightly.steps(["cheese"])
    declared = {
        "a": replace(HOUSES, name="a", recompute=None, nightly=(Job("fit.py", "--all"),)),
        "b": replace(HOUSES, name="b", recompute=Job("again.py"), nightly=(Job("fit.py"), Job("tidy.py"))),
        "c": replace(HOUSES, name="c", recompute=None, nightly=()),
    }
    monkeypatch.setattr(nightly, "load", declared.__getitem__)
    monkeypatch.setattr(nightly, "used", lambda: ["a", "b", "c"])
    found = nightly.steps()
    assert [step.name for step in found] == ["a/fit.py", "b/again.py", "b/fit.py", "b/tidy.py", "tables/maintain.py"]
    assert list(found[0].command[-2:]) == ["jobs/a/fit.py", "--all"]
    with pytest.raises(UsageError, match=r"nothing to run nightly: c declares no job of the night and no audit"):
        nightly.steps(["c"])


def test_a_domain_that_was_never_used_has_no_night(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def domains() -> set[str]:
        return {step.name.split("/")[0] for step in nightly.steps()}

    assert domains() == {"houses", "tables"}  # an empty lake: what `lake up` would start
    monkeypatch.setenv("LAKE_DOMAINS", "")
    settings.cache_clear()
    assert domains() == {"houses", "production", "tables"}
    (lake / "lake/houses").mkdir(parents=True)
    assert domains() == {"houses", "tables"}
    (lake / "checkpoints/production").mkdir(parents=True)
    assert domains() == {"houses", "production", "tables"}
