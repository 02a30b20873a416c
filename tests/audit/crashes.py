"""The process killed at every named point of every batch: each run goes on from one crash and dies in the next."""

import signal
from collections.abc import Callable, Sequence

from tests.audit import oracle
from tests.audit.place import Site

POINTS = {"history": ("before", "appended", "written"), "averages": ("before", "upserted", "logged", "written")}
PER_BATCH = "60"
SALES = 170  # three batches
IN_TWO = 100  # records a batch that make two of them
FEW = ("history.appended:1",)


def every(batches: Sequence[int] = (0, 1, 2)) -> list[str]:
    """Every point of each query in each batch, in the order in which a chain of crashes meets them."""
    return [f"{query}.{point}:{batch}" for query, points in POINTS.items() for batch in batches for point in points]


def crash(site: Site, faults: Sequence[str], say: Callable[[str], None] = lambda _: None) -> list[str]:
    """What is wrong after the stream was killed at each fault in turn and then run to its end."""
    site.send(SALES)
    for fault in faults:
        code = site.run("--query", fault.split(".", 1)[0], "--max-per-batch", PER_BATCH, fault=fault)
        if code != -signal.SIGKILL:
            return [f"the run that was to die at {fault} ended with {code}: {site.last_words()}"]
        twice = [line for line in oracle.check(site) if "twice" in line or "records wrongly" in line]
        if twice:
            return [f"after {fault}: {line}" for line in twice]
        say(f"killed at {fault}")
    if code := site.run("--max-per-batch", PER_BATCH):
        return [f"the last run ended with {code}: {site.last_words()}"]
    return oracle.check(site)
