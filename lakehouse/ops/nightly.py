"""The nightly run, and its block in the user's crontab (conf/crontab is the template)."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from lakehouse.contract.discovery import domains, used
from lakehouse.core.locks import exclusive
from lakehouse.environment import ours
from lakehouse.errors import DataError, LakeError, UnavailableError, UsageError, first_line
from lakehouse.settings import ROOT, Settings, settings

TEMPLATE = ROOT / "conf/crontab"
AUDIT = "audit.py"  # what `lake audit` knows of the domain
JOBS = ("recompute.py", "train.py", AUDIT)  # of each domain that has them, in this order
MAINTAIN = ROOT / "lakehouse/tables/maintain.py"  # last, once, for the tables of all domains
# cron starts with an almost empty environment
HANDED_ON = (*(f"LAKE_{name.upper()}" for name in Settings.model_fields), "JAVA_HOME")
CRONS_PATH = "/usr/bin:/bin"
GRACE = 10.0  # seconds between asking a hanging job to end and killing it
_ANY_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}  # the user's lines stay byte by byte
_LARGE = 5_000_000  # bytes; a longer log is begun anew, the old one kept beside it


def log_file() -> Path:
    """What the nightly jobs print."""
    return settings().log / "nightly.log"


def jobs(names: Sequence[str] = ()) -> list[Path]:
    """The nightly jobs of the named domains, or of all that this lake uses. Raises UsageError when there are none."""
    if unknown := sorted(set(names) - set(domains())):
        raise UsageError(f"There is no domain {unknown[0]!r}.", f"Domains: {', '.join(domains())}.")
    files = [ROOT / "jobs" / name / job for name in names or used() for job in JOBS]
    found = [file for file in files if file.is_file()]
    if not found:
        looked = f"{', '.join(JOBS[:-1])} or {JOBS[-1]} in {', '.join(names) or 'jobs/'}"
        raise UsageError(f"There is nothing to run nightly: no {looked}.")
    return [*found, MAINTAIN]


def nightly(scripts: Sequence[Path]) -> None:
    """Run the jobs one after the other, with their output in the log.

    One that fails does not keep the next from running. Raises LakeError naming the failed ones, RefusedError when
    another nightly run is under way.
    """
    with exclusive(settings().run / "nightly.lock", "The nightly run"):
        file = log_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > _LARGE:
            file.replace(file.with_suffix(".log.1"))
        with file.open("ab", buffering=0) as log:
            failed = [said for script in scripts if (said := _run(script, log))]
    if failed:
        raise LakeError(f"The nightly run failed: {'; '.join(failed)}.", f"Log: {file}")


def every_day(at: clock, scripts: Sequence[Path]) -> NoReturn:
    """Run the jobs every day at that time, UTC, for ever: a night that fails is told on stderr, the next one comes."""
    while True:
        time.sleep(seconds_until(at, datetime.now(UTC)))
        try:
            nightly(scripts)
        except LakeError as error:
            sys.stderr.write(f"Error: {error}\n")


def seconds_until(at: clock, now: datetime) -> float:
    """How long it is from now to the next time that it is `at`; a whole day when it is just now."""
    today = datetime.combine(now.date(), at, now.tzinfo)
    return ((today if today > now else today + timedelta(days=1)) - now).total_seconds()


def _run(script: Path, log: BinaryIO) -> str:
    """Run one job; empty when it succeeded, else its name with its exit code and last error, or its limit."""
    name = f"{script.parent.name}/{script.name}"
    began, at = time.monotonic(), log.seek(0, os.SEEK_END)
    log.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {name} starts\n".encode())
    command = _command(script)
    limit = settings().nightly_limit_minutes
    job = subprocess.Popen(
        command, cwd=ROOT, env=ours(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        code: int | str = job.wait(60 * limit)
    except subprocess.TimeoutExpired:
        code = f"its limit of {limit:g} min"
    finally:
        _end(job)
    log.write(f"--- {name} ended with {code} after {time.monotonic() - began:.0f} s\n".encode())
    if isinstance(code, str):
        return f"{name} (hung and was ended at {code}, nightly_limit_minutes)"
    return f"{name} (exit code {code}{_last_error(at)})" if code else ""


def _end(job: "subprocess.Popen[bytes]") -> None:
    """End a job that still runs, and all that it started: its JVM has a session of its own."""
    import psutil

    if job.poll() is not None:
        return
    processes = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    job.terminate()
    _, alive = psutil.wait_procs(processes, GRACE)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, GRACE)


def _command(script: Path) -> list[str]:
    if script.name == AUDIT:  # no Spark
        return [str(Path(sys.executable).parent / "lake"), "audit", script.parent.name]
    return [sys.executable, "-m", "lakehouse.spark.submit", str(script)]


def _last_error(start: int) -> str:
    with log_file().open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").splitlines()
    said = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return f": {said[-1][:300].rstrip('.')}" if said else ""


def block() -> str:
    """The lines for the crontab, with the paths of this checkout."""
    handed = [f"{name}={shlex.quote(value)}" for name, value in _handed_on().items()]
    lake = [shlex.quote(str(Path(sys.executable).parent / "lake")), "nightly"]
    command = " ".join([f"cd {shlex.quote(str(ROOT))} &&", *handed, *lake])
    if "\n" in command:
        raise DataError("A path or setting with a line break cannot go into a crontab.")
    return TEMPLATE.read_text().format(root=ROOT, command=command.replace("%", r"\%"))  # cron reads % as a line break


def _handed_on() -> dict[str, str]:
    """What the run needs of this environment, with the place of a Java that cron's short PATH would not find."""
    found = {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)}
    _refuse_secrets(found.get("LAKE_POSTGRES_DSN", "embedded"))
    java = shutil.which("java")
    if java and "JAVA_HOME" not in found and not shutil.which("java", path=CRONS_PATH):
        found["JAVA_HOME"] = str(Path(java).resolve().parent.parent)
    return found


def _refuse_secrets(dsn: str) -> None:
    from lakehouse.sinks import postgres_login

    if dsn == "embedded" or not postgres_login.secrets_of(dsn):
        return
    shown = postgres_login.public(dsn)
    raise UsageError(
        "The password in LAKE_POSTGRES_DSN cannot go into a crontab.",
        "Put it into a file of mode 600, as the line host:port:database:user:password, and name that: "
        f'LAKE_POSTGRES_DSN="{shown} passfile=/path/of/the/file".',
    )


def install(remove: bool = False) -> bool:
    """Put our block into the user's crontab, or take it out; other lines stay. False when nothing had to change."""
    before = _crontab()
    after = replaced(before, "" if remove else block())
    if after == before:
        return False
    done = subprocess.run(["crontab", "-"], input=after, capture_output=True, check=False, **_ANY_TEXT)
    if done.returncode:
        raise UnavailableError(f"crontab did not take the lines: {_first(done.stderr)}", "`lake schedule print`.")
    return True


def replaced(text: str, new: str) -> str:
    """The crontab with this checkout's block replaced by the new one. Raises DataError when half a block is there."""
    begin, end = (f"# lake: {word} {ROOT}" for word in ("begin", "end"))
    lines = text.split("\n")
    if (lines.count(begin), lines.count(end)) not in ((0, 0), (1, 1)):
        raise DataError(
            "The crontab holds a part of the lake's block, or two of them.",
            f"Mend the lines from `{begin}` to `{end}` with `crontab -e`.",
        )
    if begin not in lines:
        kept = text if not text or text.endswith("\n") else f"{text}\n"
        return kept + new if new else text
    first, last = lines.index(begin), lines.index(end)
    if last < first:
        raise DataError(f"The crontab's `{end}` comes before its `{begin}`.", "Mend it with `crontab -e`.")
    return "\n".join([*lines[:first], *new.split("\n")[:-1], *lines[last + 1 :]])


def _crontab() -> str:
    if not shutil.which("crontab"):
        raise UnavailableError(
            "There is no cron on this machine (no program `crontab`).",
            "Install one, or have another scheduler run what `lake schedule print` shows.",
        )
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["crontab", "-l"], capture_output=True, check=False, env=env, **_ANY_TEXT)
    if done.returncode and not re.search(r"no crontab|No such file", done.stderr):
        raise UnavailableError(f"crontab does not show its lines: {_first(done.stderr)}", "Nothing was changed.")
    return "" if done.returncode else done.stdout


def _first(text: str) -> str:
    return first_line(text, "it gave no reason") + "."
