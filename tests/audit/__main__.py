"""`python -m tests.audit`: every fault that can be injected here, in every domain; exit code 1 when anything is lost or
doubled.

The seed is printed; `--seed N` runs it again as it was, `--only crashes` a part of it, `--domain` that of one domain.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests import suite
from tests.audit import crashes, disk, strikes
from tests.echo import kills
from tests.echo.running import echoing
from tests.ending import end_in_order
from tests.sites import site
from tests.suite import Suite


def chained_crashes(folder: Path, of: Suite, seed: int) -> list[str]:
    """The process killed with SIGKILL at every point of every batch, each run dying in the next."""
    with site(folder, of, seed) as place:
        return crashes.chain(place, crashes.every(of), say)


def single_crashes(folder: Path, of: Suite, seed: int) -> list[str]:
    """The process killed with SIGKILL at every point of two batches, with a whole run and a check after each."""
    with site(folder, of, seed) as place:
        return crashes.one_by_one(place, rounds=2, say=say)


def full_disk(folder: Path, of: Suite, seed: int) -> list[str]:
    """The disks under lake and checkpoints, under the broker, and under both full for a while."""
    return disk.run(folder, of, seed, seconds=600, say=say)


def random_strikes(folder: Path, of: Suite, seed: int) -> list[str]:
    """Broker, producer, Python, Java and PostgreSQL killed and stopped in a random order, with a check after each."""
    return strikes.run(folder, of, seed, seconds=600, say=say)


def echo_kills(folder: Path, seed: int) -> list[str]:
    """The echo's processes and its broker killed 20 times; no request that was promised an answer is lost."""
    with echoing(folder) as echo:
        return kills.run(echo, 20, seed, say)


PARTS: dict[str, Callable[[Path, Suite, int], list[str]]] = {
    "crashes": chained_crashes,
    "single-crashes": single_crashes,
    "disk": full_disk,
    "strikes": random_strikes,
}
ECHO = "echo-kills"  # a part of no domain
EARLIER = {"line-crashes": ("production", "single-crashes"), "line-strikes": ("production", "strikes")}


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}   {line}\n")
    sys.stdout.flush()


def run(chosen: Iterable[tuple[str, str]], seed: int) -> list[str]:
    """What is wrong after these parts, each a domain's name and a part's; the echo is in no domain."""
    wrong = []
    for domain, part in chosen:
        name = f"{domain} {part}".strip()
        say(f"{name}: {(echo_kills if part == ECHO else PARTS[part]).__doc__}")
        with tempfile.TemporaryDirectory(prefix=f"lake-audit-{part}-", ignore_cleanup_errors=True) as folder:
            if part == ECHO:
                found = echo_kills(Path(folder), seed)
            else:
                found = PARTS[part](Path(folder), suite.load(domain), seed)
        wrong += [f"{name}: {line}" for line in found]
        say(f"{name}: {'nothing is wrong' if not found else f'{len(found)} things are wrong'}")
    return wrong


def main() -> None:
    """Run the parts and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument(
        "--only", choices=[*PARTS, ECHO, *EARLIER], action="append", help="A part; may be given repeatedly."
    )
    parser.add_argument("--domain", choices=suite.names(), action="append", help="A domain; may be given repeatedly.")
    options = parser.parse_args()
    say(f"seed {options.seed}")
    parts = options.only or ([*PARTS] if options.domain else [*PARTS, ECHO])
    chosen = [(name, part) for name in options.domain or suite.names() for part in parts if part in PARTS]
    others = {**EARLIER, ECHO: ("", ECHO)}
    wrong = run([*chosen, *(others[part] for part in parts if part in others)], options.seed)
    for line in wrong:
        say(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    end_in_order()
    main()
