"""`python -m tests.audit`: every fault that can be injected here; exit code 1 when anything is lost or doubled.

The seed is printed; `--seed N` runs it again as it was, `--only crashes` a part of it.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.audit import crashes, disk, line, strikes
from tests.audit.place import site
from tests.ending import end_in_order


def every_crash(folder: Path, seed: int) -> list[str]:
    """The process killed with SIGKILL at every point of every batch."""
    with site(folder, seed) as place:
        return crashes.crash(place, crashes.every(), say)


def full_disk(folder: Path, seed: int) -> list[str]:
    """The disks under lake and checkpoints, under the broker, and under both full for a while."""
    return disk.run(folder, seed, seconds=600, say=say)


def random_strikes(folder: Path, seed: int) -> list[str]:
    """Broker, producer, Python and Java killed and stopped in a random order."""
    return strikes.run(folder, seed, count=10, seconds=600, say=say)


def line_crashes(folder: Path, seed: int) -> list[str]:
    """The production line's stream killed at every point of two batches; PostgreSQL and Delta compared after each."""
    return line.crash(folder, seed, rounds=2, say=say)


def line_strikes(folder: Path, seed: int) -> list[str]:
    """PostgreSQL, Java, Python and the broker of the production line killed and stopped in a random order."""
    return line.strike(folder, seed, count=8, seconds=300, say=say)


PARTS: dict[str, Callable[[Path, int], list[str]]] = {
    "crashes": every_crash,
    "disk": full_disk,
    "strikes": random_strikes,
    "line-crashes": line_crashes,
    "line-strikes": line_strikes,
}


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}   {line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the parts and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", choices=PARTS, action="append", help="A part; may be given more than once.")
    chosen = parser.parse_args()
    say(f"seed {chosen.seed}")
    wrong = []
    for name in chosen.only or PARTS:
        say(f"{name}: {PARTS[name].__doc__}")
        with tempfile.TemporaryDirectory(prefix=f"lake-audit-{name}-", ignore_cleanup_errors=True) as folder:
            off = PARTS[name](Path(folder), chosen.seed)
        wrong += [f"{name}: {found}" for found in off]
        say(f"{name}: {'nothing is wrong' if not off else f'{len(off)} things are wrong'}")
    for found in wrong:
        say(found)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    end_in_order()
    main()
