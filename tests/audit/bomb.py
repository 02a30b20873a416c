"""200 MB of zeros in a zstd batch of some kilobytes: does the broker refuse it, and how much memory do the largest
messages take that it does not refuse?

`python -m tests.audit.bomb`; `--mb` is what the batch unpacks to, and what as many messages of 4 MB make together.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
from confluent_kafka import Producer
from deltalake import DeltaTable

from jobs.houses.schema import SALES
from tests import suite
from tests.jobs.houses.sales import plain
from tests.sites import site


def send(bootstrap_servers: str, megabytes: int) -> tuple[list[str], list[str]]:
    """One packed batch with a message of that size and as many of 1 MB; then good sales, and messages of 4 MB.

    What the broker answered to each message of the batch, and to each of the others.
    """
    good = str(plain()).replace("'", '"').encode()
    packed = [good, bytes(megabytes * 1_000_000), *[bytes(1_000_000)] * megabytes, good]
    large = [good, *[bytes(4_000_000)] * (megabytes // 4), good]
    together = {"compression.type": "zstd", "batch.size": 2_000_000_000, "linger.ms": 1000}
    return answers_to(bootstrap_servers, packed, together), answers_to(bootstrap_servers, large, {"batch.size": 1})


def answers_to(bootstrap_servers: str, values: list[bytes], options: dict[str, Any]) -> list[str]:
    """What the broker says to each message: `taken`, or the error's name."""
    answers: list[str] = []

    def report(error: Any, _message: Any) -> None:
        answers.append(error.name() if error else "taken")

    limits = {"message.max.bytes": 1_000_000_000, "queue.buffering.max.kbytes": 2_000_000, "log_level": 0}
    producer = Producer({"bootstrap.servers": bootstrap_servers, **limits, **options})
    for value in values:
        producer.produce(SALES.name, value, partition=0, on_delivery=report)
    producer.flush(120)
    return answers


def highest_memory(pid: int, stop: threading.Event) -> list[float]:
    """The largest resident size of the process and its children in MB, as a list of one."""
    most = [0.0]

    def watch() -> None:
        while not stop.wait(0.5):
            try:
                members = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                most[0] = max(most[0], sum(member.memory_info().rss for member in members) / 1e6)
            except psutil.NoSuchProcess:
                continue

    threading.Thread(target=watch, daemon=True).start()
    return most


def rows_in(folder: Path) -> int:
    """Rows of the table, its values unread; 0 of one that was not made."""
    if not DeltaTable.is_deltatable(str(folder)):
        return 0
    return sum(pa.table(DeltaTable(folder).get_add_actions(flatten=True))["num_records"].to_pylist())


def run(megabytes: int) -> str:
    """What came of it, in a sentence."""
    with tempfile.TemporaryDirectory(prefix="lake-bomb-") as folder, site(Path(folder), suite.load("houses")) as place:
        packed, large = (Counter(answers) for answers in send(place.bootstrap_servers, megabytes))
        on_disk = sum(file.stat().st_size for file in Path(folder).rglob("*.log"))
        stop, began = threading.Event(), time.monotonic()
        job = place.job("stream.py", "--trigger", "available-now")
        most = highest_memory(job.pid, stop)
        _out, error = job.communicate(timeout=1500)
        stop.set()
        kept = {name: rows_in(place.var / "lake/houses" / name) for name in ("history", "dead_letters")}
        failure = f"\n{error[-2000:]}" if job.returncode else ""
        return (
            f"Packed batch: {dict(packed)}; others: {dict(large)}; {on_disk / 1e6:.1f} MB on the broker's disk.\n"
            f"Stream ended with {job.returncode} after "
            f"{time.monotonic() - began:.0f} s, kept {kept} and took at most {most[0]:,.0f} MB.{failure}\n"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=200)
    sys.stdout.write(run(parser.parse_args().mb))
