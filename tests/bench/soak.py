"""`make soak`: the stream for an hour at 200 sales/s. Do memory, files and the time of a read stay flat?"""

import argparse
import json
import os
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from deltalake import DeltaTable

from jobs.houses.schema import AVERAGES, AVERAGES_BATCHES, DOMAIN, HISTORY, SALES
from lakehouse import topics
from lakehouse.settings import ROOT
from tests.bench.cost import pss_mb
from tests.bench.measure import Site, committed, site, streaming

RATE = 200
EVERY = 15.0  # seconds between samples
WARM_UP = 0.25  # share of the samples left out: caches and heaps fill
TABLES = {"history": HISTORY, "averages": AVERAGES, "averages_batches": AVERAGES_BATCHES}


def sample(began: float, bootstrap_servers: str) -> dict[str, float]:
    """Memory of the stream in MB, files per table, seconds to read the served averages, events waiting."""
    found = {"minute": (time.monotonic() - began) / 60, "memory_mb": memory_mb()}
    for name, table in TABLES.items():
        files = list(table.path.rglob("*"))
        found[f"{name}.data_files"] = sum(
            file.suffix == ".parquet" and "_delta_log" not in file.parts for file in files
        )
        found[f"{name}.log_files"] = sum("_delta_log" in file.parts and file.is_file() for file in files)
        found[f"{name}.live_files"] = len(DeltaTable(table.path).file_uris())
    at = time.monotonic()
    DeltaTable(AVERAGES.path).to_pyarrow_table()
    found["read_seconds"] = time.monotonic() - at
    sent = sum(topics.end_offsets(bootstrap_servers, SALES.name, range(SALES.partitions)).values())
    return found | {f"lag.{query}": sent - committed(query) for query in DOMAIN.queries}


def checkpoints_in(folder: Path) -> int:
    """Checkpoints of the Delta log: Parquet, too, but no data."""
    return sum(1 for _ in (folder / "_delta_log").glob("*.parquet"))


def memory_mb() -> float:
    """PSS of this process's children and theirs: broker, stream with its JVM, producer."""
    return sum(pss_mb(child) for child in psutil.Process().children())


def soak(minutes: float) -> list[dict[str, float]]:
    """Samples over the time, while sales come at RATE."""
    with site() as place, streaming(place):
        return _sampled(place, minutes)


def _sampled(place: Site, minutes: float) -> list[dict[str, float]]:
    producer = place.start("produce.py", "--rate", str(RATE), "--count", str(int(RATE * 60 * minutes)))
    while not min(committed(query) for query in DOMAIN.queries):
        time.sleep(0.5)
    began, samples = time.monotonic(), []
    while producer.poll() is None:
        samples.append(sample(began, place.bootstrap_servers))
        time.sleep(EVERY)
    return samples


def verdict(samples: list[dict[str, float]], name: str) -> tuple[float, float]:
    """Median of the first and of the last third after the warm-up."""
    kept = [each[name] for each in samples[int(WARM_UP * len(samples)) :]]
    third = max(1, len(kept) // 3)
    return statistics.median(kept[:third]), statistics.median(kept[-third:])


def main() -> None:
    """Soak, print first and last third of each figure, keep all samples under var/bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    samples = soak(options.minutes)
    kept = ROOT / "var/bench" / f"soak-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    keep(kept, {"minutes": options.minutes, "rate": RATE, "cores": os.cpu_count(), "samples": samples})
    sys.stdout.write(f"{'':32}{'first third':>14}{'last third':>14}\n")
    for name in samples[0]:
        first, last = verdict(samples, name)
        sys.stdout.write(f"{name:32}{first:14,.2f}{last:14,.2f}\n")
    sys.stdout.write(f"{len(samples)} samples kept in {kept.relative_to(ROOT)}.\n")


def keep(file: Path, figures: dict[str, Any]) -> None:
    """Write the figures down."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
