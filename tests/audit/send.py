"""Sends sales until it is told to stop; started again after a kill, it goes on and sends the last few twice."""

import random
import sys
import time
from pathlib import Path

from tests.audit.place import Site

AT_ONCE = 4  # with 5 s between sales, what is sent again is never late


def main(bootstrap_servers: str, noted: Path, seed: int, rate: float) -> None:
    """Send on from the number that was noted, until there is a file `<noted>.stop`."""
    sent = int(noted.read_text()) if noted.exists() else 0
    site = Site(bootstrap_servers, Path(), random.Random(seed + sent), sent)
    site.began = site.began.fromtimestamp(float(noted.with_suffix(".began").read_text()), site.began.tzinfo)
    while not noted.with_suffix(".stop").exists():
        site.send(AT_ONCE, seconds=120)
        noted.with_suffix(".new").write_text(str(site.sent))
        noted.with_suffix(".new").replace(noted)
        time.sleep(AT_ONCE / rate)


if __name__ == "__main__":
    address, file, seed_, rate_ = sys.argv[1:]
    main(address, Path(file), int(seed_), float(rate_))
