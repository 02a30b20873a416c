"""A full disk under lake and checkpoints, under the broker, and under both: all wait, and go on once there is space."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jobs.houses.schema import DOMAIN
from lakehouse.core import run_state
from tests.audit.place import wait_until
from tests.audit.supervised import Platform, batches, platform, progressed

FULL = "The disk is full"
SIZE = "32m"
HELD = 60.0  # seconds that it stays full: more than five failures in a row


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


def told() -> str:
    """What Health shows of the queries."""
    files = [run_state.progress_file("houses", query) for query in DOMAIN.queries]
    return " ".join(str(run_state.read_json(file).get("error", "")) for file in files)


def fill_for_a_while(running: Platform, folders: Sequence[Path], seconds: float) -> None:
    """Have the disks full until each query or the broker has failed often, then let them go on."""
    before, restarts = batches(), running.broker.policy.restarts
    wait_until(lambda: progressed(before), seconds, "progress")
    ballast = [fill(folder) for folder in folders]
    if running.site.var in folders:
        wait_until(lambda: FULL in told(), seconds, "a word about the full disk on Health")
    else:
        wait_until(lambda: running.broker.policy.restarts > restarts, seconds, "the broker's end")
    time.sleep(HELD)
    for file in ballast:
        file.unlink()
    before = batches()
    wait_until(lambda: progressed(before), seconds, "reading on after the disk was full")


def run(folder: Path, seed: int, seconds: float, say: Callable[[str], None]) -> list[str]:
    """What is wrong after the disks were full one after the other and together."""
    lake, kafka = folder / "var", folder / "kafka"
    with small_disk(lake) as refused, small_disk(kafka) as refused_too:
        if refused or refused_too:
            say(f"left out: {refused or refused_too}")
            return []
        with platform(folder, seed, say) as running:
            for folders in ([lake], [kafka], [lake, kafka]):
                say(f"full: {', '.join(each.name for each in folders)}, after batches {batches()}")
                fill_for_a_while(running, folders, seconds)
            return running.finish(seconds)
