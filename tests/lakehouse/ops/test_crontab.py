"""The nightly run's lines in the crontab, with a fake `crontab` program."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote
from zoneinfo import ZoneInfo

import pytest

from lakehouse.core.locks import exclusive
from lakehouse.errors import DataError
from lakehouse.ops import crontab as crontab_block
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


def test_print_shows_the_lines_with_this_checkouts_paths(lake: Path) -> None:
    printed = run("schedule", "print").stdout
    (line,) = [line for line in printed.splitlines() if not line.startswith("#")]
    assert f" then cd {quote(str(ROOT))} && LAKE_VAR={lake} " in line
    assert line.endswith(f" {quote(str(LAKE))} nightly; fi")
    assert "{" not in printed


def clock(folder: Path, seconds: int) -> str:
    """A PATH as cron's, on which `date` tells this moment."""
    program = folder / "clock/date"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho {seconds}\n")
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


def line() -> tuple[list[str], str]:
    """The five fields of the crontab's line, and its command as cron hands it to sh."""
    *fields, command = crontab_block.block().splitlines()[-2].split(" ", 5)
    return fields, command.replace(r"\%", "%")


# Clocks go forward on the first and back on the second day; where they do not, as on two other days.
ZONES = {
    "America/Los_Angeles": ("2026-03-08", "2026-11-01"),
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "Australia/Lord_Howe": ("2026-10-03", "2026-04-04"),  # by half an hour
    "Asia/Kathmandu": ("2026-05-01", "2026-05-02"),  # UTC+05:45
}


def test_cron_runs_it_at_the_same_instant_in_every_zone_whatever_its_clocks_do(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crontab_block, "_environment", dict)
    fields, command = line()
    assert fields[0] == "*/15" and set(fields[1:]) == {"*"}  # cron runs lines with * by the clock as it then is
    due = []
    for quarter in range(96):
        env = {"PATH": clock(tmp_path, 86400 * 20_000 + 900 * quarter + 61)}  # a minute late, on a busy machine
        shortened = command.replace(f"cd {quote(str(ROOT))} && {quote(str(LAKE))} nightly", "echo runs")
        done = subprocess.run(["/bin/sh", "-c", shortened], env=env, capture_output=True, text=True, check=True)
        due += [quarter] * done.stdout.count("runs")
    for zone, days in ZONES.items():
        for day in days:
            start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
            minutes = [start + timedelta(minutes=number) for number in range(48 * 60)]
            looks = [at for at in minutes if at.astimezone(ZoneInfo(zone)).minute % 15 == 0]
            ran = [f"{at:%d %H:%M}" for at in looks if (at.hour * 60 + at.minute) // 15 in due]
            assert ran == [f"{at:%d} 02:15" for at in (start, start + timedelta(days=1))], zone


def test_the_printed_line_runs_as_cron_runs_it(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an almost empty environment, through sh, % unescaped; the lock keeps the real jobs from starting."""
    monkeypatch.setenv("LAKE_VAR", f"{lake} 100%")
    settings.cache_clear()
    assert r"100\%" in crontab_block.block()
    _, command = line()
    env = {"PATH": clock(tmp_path, 9 * 900), "HOME": "/"}
    with exclusive(settings().run / "nightly.lock", "The test"):
        done = subprocess.run(["/bin/sh", "-c", command], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("Error: The nightly run is already running")


def test_a_java_that_cron_would_not_find_is_named(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "jdk/bin/java"
    java.parent.mkdir(parents=True)
    java.touch(mode=0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(java.parent))
    monkeypatch.setattr(crontab_block, "CRON_PATH", "")
    assert f" JAVA_HOME={tmp_path / 'jdk'} " in crontab_block.block()
    monkeypatch.setattr(crontab_block, "CRON_PATH", str(java.parent))
    assert "JAVA_HOME" not in crontab_block.block()


def test_install_adds_once_and_remove_leaves_what_was_there(crontab: Path) -> None:
    crontab.write_text(OTHERS)
    assert run("schedule", "install").stdout == "In your crontab: every night at 02:15 UTC.\n"
    installed = crontab.read_text()
    assert installed == OTHERS + crontab_block.block()
    assert run("schedule", "install").stdout == "The crontab has these lines already.\n"
    assert crontab.read_text() == installed
    assert run("schedule", "install", "--remove").stdout == "Removed from your crontab.\n"
    assert crontab.read_text() == OTHERS
    assert run("schedule", "install", "--remove").stdout == "The crontab has no lines of this checkout.\n"


def test_lines_in_another_encoding_stay_byte_by_byte(
    crontab: Path, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = "MAILTO=José\n".encode("latin-1")
    crontab.write_bytes(others)
    monkeypatch.setenv("LAKE_VAR", f"{lake} é's ß 50%")
    assert run("schedule", "install").stderr == ""
    assert crontab.read_bytes().startswith(others + b"# lake: begin")
    assert r"é'\"'\"'s ß 50\%' ".replace('\\"', '"').encode() in crontab.read_bytes()
    run("schedule", "install", "--remove")
    assert crontab.read_bytes() == others


def test_install_into_no_crontab(crontab: Path) -> None:
    assert run("schedule", "install").returncode == 0
    assert crontab.read_text() == crontab_block.block()


def test_an_old_block_is_replaced_in_its_place(lake: Path) -> None:
    old = f"# lake: begin {ROOT}\n0 0 * * * old\n# lake: end {ROOT}\n"
    other = "# lake: begin /another\n0 1 * * * other\n# lake: end /another\n"
    after = crontab_block.replaced(f"{OTHERS}{old}{other}# last, without a line end", crontab_block.block())
    assert after == f"{OTHERS}{crontab_block.block()}{other}# last, without a line end"


@pytest.mark.parametrize("text", ["# lake: begin {0}\n1 1 * * * x\n", "# lake: end {0}\n# lake: begin {0}\n"])
def test_half_a_block_is_left_alone(lake: Path, text: str) -> None:
    with pytest.raises(DataError, match="crontab -e"):
        crontab_block.replaced(text.format(ROOT), crontab_block.block())


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


def test_without_cron_the_message_says_what_to_do(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("schedule", "install")
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert done.stderr.startswith("Error: There is no cron on this machine")
    assert "lake schedule print" in done.stderr
