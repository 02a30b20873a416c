"""A full disk under lake and checkpoints: the stream waits, and goes on by itself once there is space again."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from jobs.houses.schema import DOMAIN, SALES
from lakehouse import checkpoints, topics
from tests.audit import oracle
from tests.audit.place import Site, wait_until

FULL = "The disk is full"


def mount(folder: Path, megabytes: int = 16) -> str:
    """A file system of that size at the folder; why not, when it cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no small file system can be mounted here: {done.stderr.strip()}"


def unmount(folder: Path) -> None:
    """Take the file system away again."""
    subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(folder: Path, leave: int) -> Path:
    """A file that leaves so many bytes free."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(bytes(65536))
                file.flush()
        except OSError:
            pass
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - leave)
    return ballast


def read_all(site: Site) -> bool:
    """Whether both queries have committed everything that is on the topic."""
    ends = topics.end_offsets(site.bootstrap_servers, SALES.name, range(SALES.partitions))
    plans = [checkpoints.last_committed(checkpoints.path("houses", query)) for query in DOMAIN.queries]
    return all(plan is not None and sum(plan.ends.values()) == sum(ends.values()) for plan in plans)


def full(site: Site, seconds: float, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """What is wrong after the disk under the running stream was full for a while. The lake is on a small disk."""
    site.send(100)
    stream = site.start("--trigger", "1 seconds")
    try:
        wait_until(lambda: read_all(site), seconds, "the first batches")
        ballast = fill(site.var, leave=0)
        say("the disk is full")
        site.send(100)
        wait_until(lambda: FULL in site.last_words(), seconds, "a word about the full disk")
        until = time.monotonic() + 20  # some failures in a row
        wait_until(lambda: time.monotonic() > until or stream.poll() is not None, 30, "the wait")
        if stream.poll() is not None:
            return [f"the stream ended with {stream.poll()}: {site.last_words()}"]
        ballast.unlink()
        say("there is space again")
        wait_until(lambda: read_all(site), seconds, "reading on after the disk was full")
    finally:
        stream.send_signal(signal.SIGTERM)
        stream.wait(seconds)
    return oracle.check(site)
