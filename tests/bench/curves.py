"""How jobs grow with the history, rates with partitions, and what happens when sales come faster than they are read."""

import statistics
import sys
import time
from pathlib import Path

import psutil

from jobs.houses.schema import HISTORY
from lakehouse.settings import ROOT
from lakehouse.tables import table_io
from tests.bench import cost, drain, measure
from tests.bench.growth import ROWS
from tests.bench.measure import WARM_UP
from tests.sites import read_by_all

PARTITIONS = (1, 4, 16)
RATES = (2_000, 10_000, 20_000, 40_000, 80_000)
MORE = 2_000  # sales
Row = dict[str, float]


def jobs(times: int) -> Row:
    """Seconds and peak PSS of recompute, train and audit over a history so many times the real file, drained from a
    topic that still has it all; and of another recompute after MORE sales.
    """
    spark, lake = str(ROOT / "spark-submit.sh"), str(Path(sys.executable).parent / "lake")
    with measure.site() as place:
        measure.fill(place, ROWS * times)
        cost.run([spark, "jobs/houses/stream.py", "--trigger", "available-now"], place.env)
        commands = {
            "recompute": [spark, "jobs/houses/recompute.py"],
            "train": [spark, "jobs/houses/train.py"],
            "audit": [lake, "audit", "houses"],
        }
        found: Row = {"rows": table_io.read(HISTORY, ["offset"]).num_rows}
        for name, command in commands.items():
            took = cost.run(command, place.env)
            found |= {f"{name}, s": took.seconds, f"{name}, MB": took.peak_mb}
        place.start("produce.py", "--count", str(MORE), "--rate", "0").wait()
        cost.run([spark, "jobs/houses/stream.py", "--trigger", "available-now"], place.env)
        return found | {"recompute again, s": cost.run(commands["recompute"], place.env).seconds}


def partitions(count: int, sales: int = 600_000) -> Row:
    """Sales a second of each query alone, from a topic of so many partitions."""
    ways = {way.name: way for way in drain.measured(sales, 1, ("averages", "history"), count)}
    return {name: way.rate() for name, way in ways.items()}


def rate(wanted: int, seconds: float = 40) -> Row:
    """Both queries while sales come at a rate: how many came, the lag half way and at the end, seconds until it is
    read, the longest batch and the memory of the stream.
    """
    with measure.site() as place, measure.streaming(place) as stream:
        place.start("produce.py", "--rate", "2000", "--count", str(int(2000 * WARM_UP))).wait()
        sent = int(2000 * WARM_UP)
        while read_by_all(place.suite.domain) < sent:
            time.sleep(0.1)
        began = time.monotonic()
        producer = place.start("produce.py", "--rate", str(wanted), "--count", str(int(wanted * seconds)))
        lags, memory = [], []
        while producer.poll() is None:
            time.sleep(1)
            lags.append(place.waiting())
            memory.append(cost.pss_mb(psutil.Process(stream.pid)))
        took = time.monotonic() - began
        while place.waiting() and stream.poll() is None:
            time.sleep(0.05)
        assert stream.poll() is None, "the stream has ended"
        return {
            "sent/s": wanted * seconds / took,
            "lag half way": statistics.median(lags[len(lags) // 2 - 2 : len(lags) // 2 + 2]),
            "lag at the end": lags[-1],
            "read after, s": time.monotonic() - began - took,
            "memory, MB": max(memory),
        }
