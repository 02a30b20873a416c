"""How fast a topic is drained: by the stream and, in the same run, by plain ways (see plain.py). A rate is the slope
between a small and a large topic, so that no start counts; the whole process, start and all, stands beside it.
"""

import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.houses.schema import DOMAIN
from lakehouse.settings import ROOT
from tests.bench import cost
from tests.bench.cost import Cost
from tests.bench.measure import fill, site
from tests.sites import Site

SMALL = 100_000
AT_ONCE = 250_000  # records in a batch while both queries drain: the first one of averages is drained alone
SPARK = str(ROOT / "spark-submit.sh")


@dataclass
class Way:
    """A way to drain the topic, and what its runs took, by the topic's size."""

    name: str
    command: list[str]
    costs: dict[int, list[Cost]] = field(default_factory=dict)
    alone: dict[str, list[float]] = field(default_factory=dict)  # query -> seconds from its first batch to its end

    def rates(self) -> list[float]:
        """Sales a second between the two sizes, one of each pair of runs."""
        (few, first), (many, second) = sorted(self.costs.items())
        return [(many - few) / (b.seconds - a.seconds) for a, b in zip(first, second, strict=True)]

    def rate(self) -> float:
        """The median of the rates."""
        return statistics.median(self.rates())

    def cpu(self) -> float:
        """Processor time of a sale in microseconds, between the two sizes: the median."""
        (few, first), (many, second) = sorted(self.costs.items())
        pairs = zip(first, second, strict=True)
        return statistics.median(1e6 * (b.cpu - a.cpu) / (many - few) for a, b in pairs)

    def largest(self) -> list[Cost]:
        """The runs over the large topic."""
        return self.costs[max(self.costs)]

    def seconds(self) -> float:
        """Seconds of the whole process over the large topic."""
        return statistics.median(cost.seconds for cost in self.largest())

    def query_rate(self, query: str) -> float:
        """Sales a second of one query over the large topic, from its first batch planned to its last committed."""
        return max(self.costs) / statistics.median(self.alone[query])


def ways(bootstrap_servers: str) -> list[Way]:
    """Every way, the plain ones first."""
    plain = [sys.executable, "-m", "tests.bench.plain"]
    stream = [SPARK, "jobs/houses/stream.py", "--trigger", "available-now"]
    return [
        *(Way(name, [*plain, name, bootstrap_servers]) for name in ("raw", "unchecked", "checked")),
        Way("averages unchecked", [SPARK, "tests/bench/unchecked.py", bootstrap_servers]),
        *(Way(name, [*stream, "--query", name]) for name in ("averages", "history")),
        Way("both", [*stream, "--max-per-batch", str(AT_ONCE)]),
    ]


def measured(sales: int, repeats: int, only: Sequence[str] = (), partitions: int = 0) -> list[Way]:
    """Each way over SMALL and over so many sales, `repeats` times each, every run on an empty lake."""
    with site(partitions=partitions) as place:
        found = [way for way in ways(place.bootstrap_servers) if not only or way.name in only]
        sent = 0
        for size in (SMALL, sales):
            fill(place, size - sent)
            sent = size
            for _ in range(repeats):
                for way in found:
                    _measure(place, way, size)
        return found


def _measure(place: Site, way: Way, size: int) -> None:
    var = Path(place.env["LAKE_VAR"]).with_name("drained")
    way.costs.setdefault(size, []).append(cost.run(way.command, {**place.env, "LAKE_VAR": str(var)}))
    if way.name in ("averages", "history", "both") and size > SMALL:
        for query in DOMAIN.queries:
            checkpoint = var / "checkpoints" / DOMAIN.name / query
            if checkpoint.exists():
                way.alone.setdefault(query, []).append(_span(checkpoint))
    shutil.rmtree(var, ignore_errors=True)


def _span(checkpoint: Path) -> float:
    """Seconds from the first batch planned to the last committed."""
    commits = [file.stat().st_mtime for file in (checkpoint / "commits").glob("[0-9]*")]
    return max(commits) - (checkpoint / "offsets/0").stat().st_mtime


TARGETS = {"averages": ("checked", 2.8, "the plain way"), "history": ("checked", 1.3, "the plain way")}
CPU_TARGETS = {"averages": "≤ 4.5 us", "history": "≤ 9 us"}
BOTH_TARGET = "≥ 80,000/s"


def rows(found: Sequence[Way]) -> list[tuple[str, str, str]]:
    """What, target and measured, as rows of the bench's table."""
    by_name = {way.name: way for way in found}
    found_rows = [(f"drain: {way.name}", *_row(way, by_name)) for way in found if way.name != "both"]
    if {"averages", "checked"} <= by_name.keys():
        ratio = by_name["checked"].seconds() / by_name["averages"].seconds()
        found_rows.append(("drain: averages, whole process", "≥ 0.7 × the plain way", f"{ratio:.2f} ×"))
    if "both" in by_name:
        both = by_name["both"]
        for query in ("averages", "history"):
            ratio = both.query_rate(query) / by_name[query].query_rate(query)
            measured = f"{both.query_rate(query):,.0f}/s, {ratio:.2f} × alone"
            found_rows.append((f"drain: both at once, {query}", BOTH_TARGET, measured))
    of_cpu = ((way, CPU_TARGETS[way.name]) for way in found if way.name in CPU_TARGETS)
    return found_rows + [
        (f"drain: {way.name}, processor time a sale", least, f"{way.cpu():.1f} us") for way, least in of_cpu
    ]


def _row(way: Way, by_name: dict[str, Way]) -> tuple[str, str]:
    rates, last = way.rates(), way.largest()
    cpu, peak = (statistics.median(getattr(cost, name) for cost in last) for name in ("cpu", "peak_mb"))
    text = f"{way.rate():,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f}, n={len(rates)}), "
    text += f"whole {way.seconds():.1f} s, CPU {cpu:.1f} s, PSS {peak:,.0f} MB"
    other, least, words = TARGETS.get(way.name, ("", 0.0, ""))
    if other not in by_name:
        return "", text
    return f"≥ {least} × {words}", f"{way.rate() / by_name[other].rate():.2f} ×: {text}"


def figures(found: Sequence[Way]) -> dict[str, Any]:
    """All that was measured, for the kept file."""
    return {
        way.name: {
            "per_second": way.rates(),
            "runs": {str(size): [vars(cost) for cost in costs] for size, costs in way.costs.items()},
            "query_seconds": way.alone,
        }
        for way in found
    }
