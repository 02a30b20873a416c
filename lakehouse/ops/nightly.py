"""The nightly run: what each domain declares, its audit, then the maintenance of all tables."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from lakehouse.audit.contract import audited
from lakehouse.contract.discovery import load, used
from lakehouse.contract.domain import Domain
from lakehouse.core.locks import exclusive, waiting
from lakehouse.environment import ours
from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import ROOT, settings
from lakehouse.spark import submit

GRACE = 10.0  # seconds between asking a hanging job to end and killing it
_LARGE = 5_000_000  # bytes; a longer log is renamed and a new one started


def log_file() -> Path:
    """What the nightly jobs print."""
    return settings().log / "nightly.log"


class Step(NamedTuple):
    """A job of the night: its name in the log, `<domain>/<script>`, and its command line."""

    name: str
    command: Sequence[str]


def steps(names: Sequence[str] = ()) -> list[Step]:
    """The jobs of the night: those that the named domains declare, or all domains that this lake uses.

    The maintenance of all tables comes last. Raises UsageError when there is no such domain or no job.
    """
    found = [step for name in names or used() for step in _of_domain(load(name))]
    if not found:
        whose = ", ".join(names) or "no domain"
        raise UsageError(f"There is nothing to run nightly: {whose} declares no job of the night and no audit.")
    return [*found, Step("tables/maintain.py", submit.command("-m", "lakehouse.tables.maintain"))]


def _of_domain(domain: Domain) -> Iterator[Step]:
    """The recomputation, then what else the domain declares, then the audit."""
    first = () if domain.recompute is None else (domain.recompute,)
    for job in (*first, *domain.nightly):
        yield Step(f"{domain.name}/{job.script}", submit.command(*domain.command(job)))
    if domain.name in audited():
        yield Step(f"{domain.name}/audit.py", [str(Path(sys.executable).parent / "lake"), "audit", domain.name])


def nightly(steps: Sequence[Step], waits: bool = False) -> None:
    """Run the jobs one after the other, with their output in the log.

    One that fails does not keep the next from running. While another nightly run is under way, this one `waits` or
    raises RefusedError. Raises LakeError naming the failed ones.
    """
    lock = settings().run / "nightly.lock"
    with waiting(lock) if waits else exclusive(lock, "The nightly run"):
        file = log_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > _LARGE:
            file.replace(file.with_suffix(".log.1"))
        with file.open("ab", buffering=0) as log:
            failed = [failure for step in steps if (failure := _run(step, log))]
    if failed:
        raise LakeError(f"The nightly run failed: {'; '.join(failed)}.", f"Log: {file}")


def every_day(at: clock, steps: Sequence[Step]) -> NoReturn:
    """Run the jobs every day at that time, UTC, for ever. A night that fails is an error on stderr, no more."""
    while True:
        time.sleep(seconds_until(at, datetime.now(UTC)))
        try:
            nightly(steps, waits=True)  # each domain may have a service of its own, at the same time
        except LakeError as error:
            sys.stderr.write(f"Error: {error}\n")


def seconds_until(at: clock, now: datetime) -> float:
    """How long it is from now to the next `at`; a whole day if it is `at` just now."""
    today = datetime.combine(now.date(), at, now.tzinfo)
    return ((today if today > now else today + timedelta(days=1)) - now).total_seconds()


def _run(step: Step, log: BinaryIO) -> str:
    """Run one job; empty when it succeeded, else its name with its exit code and last error, or its limit."""
    name = step.name
    began, at = time.monotonic(), log.seek(0, os.SEEK_END)
    log.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {name} starts\n".encode())
    limit = settings().nightly_limit_minutes
    job = subprocess.Popen(
        step.command, cwd=ROOT, env=ours(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
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


def _last_error(start: int) -> str:
    with log_file().open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").splitlines()
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return f": {errors[-1][:300].rstrip('.')}" if errors else ""
