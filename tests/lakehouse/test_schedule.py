"""The nightly run and its lines in the crontab, with real processes and a fake `crontab` program."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse import schedule
from lakehouse.errors import DataError, LakeError, UsageError
from lakehouse.locks import exclusive
from lakehouse.settings import ROOT, settings

LAKE = Path(sys.executable).parent / "lake"
OTHERS = "# mine\nMAILTO=me@example.org\n0 4 * * 1 backup --all 100\\%\n"
FAKE = """#!/bin/sh
# As cron's own program: -l shows, - replaces.
file="$FAKE_CRONTAB"
case "$1" in
  -l) [ -f "$file" ] || { echo "no crontab for $USER" >&2; exit 1; }; cat "$file" ;;
  -) cat > "$file" ;;
  *) exit 2 ;;
esac
"""


def job(folder: Path, name: str, code: str) -> Path:
    """A script that stands for a nightly job."""
    path = folder / "houses" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    return path


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What the condition gives as soon as it holds."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return value


@pytest.fixture
def crontab(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's crontab, reached by a `crontab` program on the PATH."""
    program = tmp_path / "bin/crontab"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CRONTAB", str(tmp_path / "crontab"))
    return tmp_path / "crontab"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    return subprocess.run([str(LAKE), *arguments], capture_output=True, text=True, check=False, cwd="/")


def test_jobs_run_in_order_silently_with_their_output_in_the_log(
    lake: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scripts = [job(tmp_path, name, f"print('{name} works')") for name in ("recompute.py", "train.py")]
    schedule.nightly(scripts)
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
        schedule.nightly([failing, later])
    assert str(error.value) == (
        f"The nightly run failed: houses/recompute.py (exit code 69: The disk is full). Log: {lake / 'log/nightly.log'}"
    )
    assert "trained" in (lake / "log/nightly.log").read_text()


def test_the_audit_comes_after_the_jobs_and_runs_as_the_command(lake: Path) -> None:
    found = schedule.jobs(["houses"])
    assert [job.name for job in found] == ["recompute.py", "train.py", "audit.py", "maintain.py"]
    with pytest.raises(LakeError, match=r"houses/audit.py \(exit code 69: No Kafka broker is known"):
        schedule.nightly(found[2:3])


def test_an_error_of_an_earlier_night_is_not_told_again(lake: Path, tmp_path: Path) -> None:
    for code, told in (
        ("import sys; sys.stderr.write('Error: Old.\\n'); sys.exit(1)", "1: Old"),
        ("import os; os.kill(os.getpid(), 9)", "-9"),
    ):
        with pytest.raises(LakeError, match=rf"\(exit code {told}\)"):
            schedule.nightly([job(tmp_path, "train.py", code)])


@pytest.mark.parametrize(("code", "exit_code", "lines"), [("pass", 0, 0), ("raise SystemExit(65)", 1, 1)])
def test_the_process_is_silent_on_success_and_says_one_line_on_failure(
    lake: Path, tmp_path: Path, code: str, exit_code: int, lines: int
) -> None:
    script = job(tmp_path, "train.py", code)
    start = f"""
from pathlib import Path
from lakehouse import cli, schedule
schedule.jobs = lambda names: [Path({str(script)!r})]
cli.main()
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
    monkeypatch.setattr(schedule, "GRACE", 0.3)
    settings.cache_clear()
    scripts = [job(tmp_path, "recompute.py", HANGING), job(tmp_path, "train.py", "print('trained')")]
    with pytest.raises(LakeError) as error:
        schedule.nightly(scripts)
    assert str(error.value) == (
        "The nightly run failed: houses/recompute.py (hung and was ended at its limit of 0.15 min, "
        f"nightly_limit_minutes). Log: {lake / 'log/nightly.log'}"
    )
    log = (lake / "log/nightly.log").read_text()
    assert "trained" in log
    child = int(re.findall(r"^child (\d+)$", log, re.MULTILINE)[0])
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    schedule.nightly([job(tmp_path, "train.py", "pass")])  # the lock is free


@pytest.mark.parametrize(
    ("now", "hours"), [("2026-05-01T02:00", 0.25), ("2026-05-01T02:15", 24), ("2026-05-01T14:15", 12)]
)
def test_the_next_night_is_the_next_time_of_that_clock(now: str, hours: float) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert schedule.seconds_until(clock(2, 15), moment) == hours * 3600


def service(scripts: list[Path], at: str, more: str = "") -> "subprocess.Popen[str]":
    """`lake nightly --at` with these jobs."""
    start = f"""
from pathlib import Path
from lakehouse import cli, schedule
schedule.jobs = lambda names: [Path(path) for path in {[str(script) for script in scripts]}]
schedule.GRACE = 0.3
{more}
cli.main()
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
    short_days = "schedule.seconds_until = lambda at, now: 0.1"
    running = service([job(tmp_path, "train.py", "raise SystemExit(65)")], "02:15", short_days)
    log = lake / "log/nightly.log"
    wait_for(lambda: log.exists() and log.read_text().count("ended with 65") > 1)
    running.terminate()
    _, told = running.communicate(timeout=20)
    assert told.startswith("Error: The nightly run failed: houses/train.py (exit code 65). Log: ")


def test_a_time_that_is_none(lake: Path) -> None:
    done = run("nightly", "--at", "noon")
    assert (done.returncode, done.stderr) == (
        2,
        "Error: --at takes a time of day; got 'noon'. For example --at 02:15.\n",
    )


def test_a_second_run_at_the_same_time_is_refused(lake: Path) -> None:
    with exclusive(settings().run / "nightly.lock", "The test"):
        done = run("nightly", "houses")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == f"Error: The nightly run is already running (pid {os.getpid()}). Stop that one first.\n"
    assert not (lake / "log/nightly.log").exists()


def test_a_log_grown_large_is_begun_anew(lake: Path, tmp_path: Path) -> None:
    schedule.log_file().parent.mkdir(parents=True)
    schedule.log_file().write_bytes(b"x" * 6_000_000)
    schedule.nightly([job(tmp_path, "train.py", "pass")])
    assert schedule.log_file().stat().st_size < 1000
    assert (lake / "log/nightly.log.1").stat().st_size == 6_000_000


def test_the_jobs_are_those_that_domains_have(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert schedule.jobs(["houses"])[0] == ROOT / "jobs/houses/recompute.py"
    with pytest.raises(UsageError, match="There is no domain 'cheese'"):
        schedule.jobs(["cheese"])
    monkeypatch.setattr(schedule, "ROOT", tmp_path)
    for name in ("b", "a"):
        (tmp_path / "jobs" / name).mkdir(parents=True)
    for file in ("b/train.py", "b/recompute.py", "a/train.py"):
        (tmp_path / "jobs" / file).touch()
    monkeypatch.setattr(schedule, "domains", lambda: ["a", "b", "c"])
    *found, last = schedule.jobs()
    assert last == schedule.MAINTAIN
    names = [str(path.relative_to(tmp_path / "jobs")) for path in found]
    assert names == ["a/train.py", "b/recompute.py", "b/train.py"]
    with pytest.raises(UsageError, match=r"nothing to run nightly: no recompute\.py, train\.py or audit\.py in c"):
        schedule.jobs(["c"])


def test_print_shows_the_lines_with_this_checkouts_paths(lake: Path) -> None:
    printed = run("schedule", "print").stdout
    (line,) = [line for line in printed.splitlines() if not line.startswith("#")]
    assert line.startswith(f"15 2 * * * cd {ROOT} && LAKE_VAR={lake} ")
    assert line.endswith(f" {LAKE} nightly")
    assert "{" not in printed


def test_the_printed_line_runs_as_cron_runs_it(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an almost empty environment, through sh, % unescaped; the lock keeps the real jobs from starting."""
    monkeypatch.setenv("LAKE_VAR", f"{lake} 100%")
    settings.cache_clear()
    command = schedule.block().splitlines()[-2].split(" ", 5)[5]
    assert r"100\%" in command
    env = {"PATH": "/usr/bin:/bin", "HOME": "/"}
    with exclusive(settings().run / "nightly.lock", "The test"):
        done = subprocess.run(
            ["/bin/sh", "-c", command.replace(r"\%", "%")], env=env, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("Error: The nightly run is already running")


def test_a_java_that_cron_would_not_find_is_named(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "jdk/bin/java"
    java.parent.mkdir(parents=True)
    java.touch(mode=0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(java.parent))
    monkeypatch.setattr(schedule, "CRONS_PATH", "")
    assert f" JAVA_HOME={tmp_path / 'jdk'} " in schedule.block()
    monkeypatch.setattr(schedule, "CRONS_PATH", str(java.parent))
    assert "JAVA_HOME" not in schedule.block()


def test_install_adds_once_and_remove_leaves_what_was_there(crontab: Path) -> None:
    crontab.write_text(OTHERS)
    assert run("schedule", "install").stdout == "In your crontab: every night at 02:15.\n"
    installed = crontab.read_text()
    assert installed == OTHERS + schedule.block()
    assert run("schedule", "install").stdout == "The crontab has these lines already.\n"
    assert crontab.read_text() == installed
    assert run("schedule", "install", "--remove").stdout == "Removed from your crontab.\n"
    assert crontab.read_text() == OTHERS
    assert run("schedule", "install", "--remove").stdout == "The crontab has no lines of this checkout.\n"


def test_install_into_no_crontab(crontab: Path) -> None:
    assert run("schedule", "install").returncode == 0
    assert crontab.read_text() == schedule.block()


def test_an_old_block_is_replaced_in_its_place(lake: Path) -> None:
    old = f"# lake: begin {ROOT}\n0 0 * * * old\n# lake: end {ROOT}\n"
    other = "# lake: begin /another\n0 1 * * * other\n# lake: end /another\n"
    after = schedule.replaced(f"{OTHERS}{old}{other}# last, without a line end", schedule.block())
    assert after == f"{OTHERS}{schedule.block()}{other}# last, without a line end"


@pytest.mark.parametrize("text", ["# lake: begin {0}\n1 1 * * * x\n", "# lake: end {0}\n# lake: begin {0}\n"])
def test_half_a_block_is_left_alone(lake: Path, text: str) -> None:
    with pytest.raises(DataError, match="crontab -e"):
        schedule.replaced(text.format(ROOT), schedule.block())


def test_a_crontab_that_cannot_be_read_or_written_is_not_replaced(crontab: Path, tmp_path: Path) -> None:
    crontab.write_text(OTHERS)
    program = tmp_path / "bin/crontab"
    program.write_text("#!/bin/sh\necho 'you are not allowed to use this program' >&2; exit 1\n")
    done = run("schedule", "install")
    assert (done.returncode, crontab.read_text()) == (69, OTHERS)
    assert "does not show its lines: you are not allowed to use this program." in done.stderr
    program.write_text(FAKE.replace("-) cat", "-) echo 'bad minute' >&2; exit 1; cat"))
    done = run("schedule", "install")
    assert (done.returncode, crontab.read_text()) == (69, OTHERS)
    assert "crontab did not take the lines: bad minute." in done.stderr


def test_without_cron_the_user_is_told_what_to_do(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("schedule", "install")
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert done.stderr.startswith("Error: There is no cron on this machine")
    assert "lake schedule print" in done.stderr
