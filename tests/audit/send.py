"""Sends events of a suite until a file says stop; started again after a kill, it sends the last few twice."""

import sys
import time
from pathlib import Path

from tests import suite
from tests.sites import Site

AT_ONCE = 4  # with 5 s between events, what is sent again is never late


def main(domain: str, bootstrap_servers: str, noted: Path, seed: int, rate: float) -> None:
    """Send on from the number that was noted, until there is a file `<noted>.stop`."""
    sent = int(noted.read_text()) if noted.exists() else 0
    site = Site.of(suite.load(domain), bootstrap_servers, Path(), seed + sent)
    site.sent = sent
    site.began = site.began.fromtimestamp(float(noted.with_suffix(".began").read_text()), site.began.tzinfo)
    while not noted.with_suffix(".stop").exists():
        site.send(AT_ONCE, seconds=120)
        noted.with_suffix(".new").write_text(str(site.sent))
        noted.with_suffix(".new").replace(noted)
        time.sleep(AT_ONCE / rate)


if __name__ == "__main__":
    name, address, file, seed_, rate_ = sys.argv[1:]
    main(name, address, Path(file), int(seed_), float(rate_))
