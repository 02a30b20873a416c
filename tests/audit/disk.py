"""A full disk under lake and checkpoints, under the broker, and under both: all wait, and go on once there is space."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lakehouse.contract.domain import Domain
from lakehouse.core import run_state
from tests.audit.supervised import Supervised, supervised
from tests.e2e.running import wait_for
from tests.suite import Suite

FULL = "The disk is full"
SIZE = "32m"
FULL_SECONDS = 60.0  # more than five failures in a row


@contextmanager
def small_disk(folder: Path, size: str = SIZE) -> Iterator[str]:
    """A small file system at the folder; why not, when it cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"no small file system can be mounted here: {done.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(folder: Path) -> Path:
    """A file that leaves no space."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


def shown_errors(domain: Domain) -> str:
    """The errors that Health shows of the queries."""
    files = [run_state.progress_file(domain.name, query) for query in domain.queries]
    return " ".join(str(run_state.read_json(file).get("error", "")) for file in files)


def fill_for_a_while(running: Supervised, folders: Sequence[Path], seconds: float) -> None:
    """Have the disks full until each query or the broker has failed often, then let them go on."""
    broker, domain = running.services["broker"], running.site.suite.domain
    restarts = broker.policy.restarts
    running.await_progress(seconds)
    ballast = [fill(folder) for folder in folders]
    if running.site.var in folders:
        wait_for(lambda: FULL in shown_errors(domain), seconds, "a word about the full disk on Health")
    else:
        wait_for(lambda: broker.policy.restarts > restarts, seconds, "the broker's end")
    time.sleep(FULL_SECONDS)
    for file in ballast:
        file.unlink()
    running.await_progress(seconds, "reading on after the disk was full")


def run(folder: Path, suite: Suite, seed: int, seconds: float, say: Callable[[str], None]) -> list[str]:
    """What is wrong after the disks were full one after the other and together."""
    lake, kafka = folder / "var", folder / "kafka"
    with small_disk(lake) as refused, small_disk(kafka) as refused_too:
        if refused or refused_too:
            say(f"left out: {refused or refused_too}")
            return []
        with supervised(folder, suite, seed, say) as running:
            for folders in ([lake], [kafka], [lake, kafka]):
                say(f"full: {', '.join(each.name for each in folders)}, after batches {running.batches()}")
                fill_for_a_while(running, folders, seconds)
            return running.finish(seconds)
