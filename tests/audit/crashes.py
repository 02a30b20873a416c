"""The process killed at every named point of a batch: in a chain, each run dying in the next, or with a whole run after
each.
"""

import signal
from collections.abc import Callable, Sequence

from tests.audit import oracle
from tests.sites import Site, committed_batch
from tests.suite import Suite

Say = Callable[[str], None]
PER_BATCH = 60
EVENTS = 170  # three batches
IN_TWO = 100  # records a batch that make two of them
FEW = ("history.appended:1",)


def every(suite: Suite, batches: Sequence[int] = (0, 1, 2)) -> list[str]:
    """Every point of each query in each batch, in the order in which a chain of crashes meets them."""
    points = suite.points.items()
    return [f"{query}.{point}:{batch}" for query, names in points for batch in batches for point in names]


def kill(site: Site, fault: str, *options: str) -> list[str]:
    """Run the query until it dies at the fault; what is wrong when it ends otherwise."""
    code = site.stream("--query", fault.split(".", 1)[0], *options, fault=fault)
    ended = f"the run that was to die at {fault} ended with {code}: {site.last_words()}"
    return [] if code == -signal.SIGKILL else [ended]


def finish(site: Site, *options: str) -> list[str]:
    """Run the stream to its end; what is wrong then."""
    code = site.stream(*options)
    return [f"the last run ended with {code}: {site.last_words()}"] if code else oracle.check(site)


def chain(site: Site, faults: Sequence[str], say: Say = lambda _: None) -> list[str]:
    """What is wrong after the stream was killed at each fault in turn and then run to its end."""
    few = ("--max-per-batch", str(PER_BATCH))
    site.send(EVENTS)
    for fault in faults:
        if wrong := kill(site, fault, *few):
            return wrong
        twice = [line for line in oracle.check(site) if "twice" in line or "records wrongly" in line]
        if twice:
            return [f"after {fault}: {line}" for line in twice]
        say(f"killed at {fault}")
    return finish(site, *few)


def one_by_one(site: Site, rounds: int, say: Say = lambda _: None) -> list[str]:
    """What is wrong after a kill at a point of the next batch and a run to the end, for each point in each round."""
    for query, point in [(query, point) for query, names in site.suite.points.items() for point in names] * rounds:
        site.send(EVENTS)
        fault = f"{query}.{point}:{committed_batch(site.suite.domain, query) + 1}"
        if wrong := kill(site, fault) or finish(site):
            return [f"after {fault}: {line}" for line in wrong]
        say(f"killed at {fault}")
    return []
