"""`make soak`: `lake up houses` for an hour at 200 sales/s. Do memory, files and the time of a read stay flat?

Two pages are open meanwhile, Houses and Health, and ask every two seconds.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
from deltalake import DeltaTable

from jobs.houses.schema import AVERAGES, AVERAGES_BATCHES, DOMAIN, HISTORY, SALES
from lakehouse.core import run_state
from lakehouse.kafka import topics
from lakehouse.ops import status
from lakehouse.settings import ROOT, settings
from lakehouse.streaming import checkpoints
from tests.dashboard.tab import Tab
from tests.ending import end_in_order
from tests.sites import committed, in_force

RATE = 200
EVERY = 15.0  # seconds between samples
PERIOD = 2.0  # seconds between two ticks of a page
WARM_UP = 0.25  # share of the samples left out: caches and heaps fill
TABLES = {"history": HISTORY, "averages": AVERAGES, "averages_batches": AVERAGES_BATCHES}
PAGES = ("/houses", "/health-ui")
Sample = dict[str, float]


@contextmanager
def running(rate: float) -> Iterator[Callable[[], bool]]:
    """The platform in a folder of its own, and sales at that rate; whether the producer is still at work."""
    with tempfile.TemporaryDirectory(prefix="lake-soak-", ignore_cleanup_errors=True) as folder:
        ours = {"LAKE_VAR": f"{folder}/var", "LAKE_KAFKA_PORT": "0", "LAKE_DASHBOARD_PORT": "0"}
        with in_force(**ours), (Path(folder) / "up.log").open("wb") as log:
            up = subprocess.Popen([ROOT / ".venv/bin/lake", "up", "houses", "--no-produce"], stdout=log, stderr=log)
            try:
                while not run_state.read_json(run_state.processes_file()).get("dashboard_url"):
                    assert up.poll() is None, (Path(folder) / "up.log").read_text()[-2000:]
                    time.sleep(0.5)
                job = [str(ROOT / "spark-submit.sh"), "jobs/houses/produce.py", "--rate", str(rate)]
                producer = subprocess.Popen(job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                yield lambda: producer.poll() is None
                producer.terminate()
                producer.wait(60)
            finally:
                up.send_signal(signal.SIGTERM)
                up.wait(180)


def sample(tabs: Sequence[Tab]) -> Sample:
    """Memory of each process, files and bytes that are kept, seconds of a read and of a page's tick, events waiting."""
    found: Sample = {}
    for process in status.running_processes():
        for member in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # a short one that has ended meanwhile
                name = f"memory_mb.{process.name}" + (".java" if member.name() == "java" else "")
                found[name] = found.get(name, 0.0) + member.memory_full_info().pss / 1e6
    for name, table in TABLES.items():
        found |= {f"{name}.{what}": count for what, count in files(table.path).items()}
        found[f"{name}.live_files"] = len(DeltaTable(table.path).file_uris())
    for query in DOMAIN.queries:
        found[f"checkpoint.{query}.files"] = number_of_files(checkpoints.path("houses", query))
    found["run.files"] = number_of_files(settings().run)
    found["logs_mb"] = sum(file.stat().st_size for file in settings().log.rglob("*") if file.is_file()) / 1e6
    at = time.monotonic()
    DeltaTable(AVERAGES.path).to_pyarrow_table()
    found["read_seconds"] = time.monotonic() - at
    for page, tab in zip(PAGES, tabs, strict=True):
        found[f"tick_seconds {page}"] = tab.tick().seconds
    sent = sum(topics.end_offsets(settings().brokers(), SALES.name, range(SALES.partitions)).values())
    return found | {f"lag.{query}": sent - committed(DOMAIN, query) for query in DOMAIN.queries}


def files(table: Path) -> dict[str, int]:
    """Data files on the disk, wanted or not, and files of the log."""
    every = [file for file in table.rglob("*") if file.is_file()]
    log = sum("_delta_log" in file.parts for file in every)
    return {"data_files": sum(file.suffix == ".parquet" for file in every) - _checkpoints(table), "log_files": log}


def _checkpoints(table: Path) -> int:
    return sum(1 for _ in (table / "_delta_log").glob("*.parquet"))


def number_of_files(folder: Path) -> int:
    """Files anywhere in the folder."""
    return sum(len(names) for _, _, names in os.walk(folder))


def soak(minutes: float, keep: Path) -> list[Sample]:
    """Samples over the time, while sales come at RATE; kept in the file as they come."""
    about = {"minutes": minutes, "rate": RATE, "cores": os.cpu_count()}
    keep.parent.mkdir(parents=True, exist_ok=True)
    with running(RATE) as producing:
        tabs = [Tab(str(run_state.read_json(run_state.processes_file())["dashboard_url"]), page) for page in PAGES]
        began, samples = time.monotonic(), []
        while (spent := time.monotonic() - began) < 60 * minutes:
            assert producing(), "the producer has ended"
            samples.append({"minute": spent / 60} | sample(tabs))
            keep.write_text(json.dumps({**about, "samples": samples}, indent=1))
            following = time.monotonic() + EVERY
            while time.monotonic() < following:
                for tab in tabs:
                    tab.tick()
                time.sleep(PERIOD)
        return samples


def verdict(samples: list[Sample], name: str) -> tuple[float, float]:
    """Median of the first and of the last third after the warm-up."""
    kept = [each.get(name, 0.0) for each in samples[int(WARM_UP * len(samples)) :]]
    third = max(1, len(kept) // 3)
    return statistics.median(kept[:third]), statistics.median(kept[-third:])


def main() -> None:
    """Soak, print first and last third of each figure, keep all samples under var/bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    kept = ROOT / "var/bench" / f"soak-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    samples = soak(options.minutes, kept)
    sys.stdout.write(f"{'':32}{'first third':>14}{'last third':>14}\n")
    for name in samples[-1]:
        first, last = verdict(samples, name)
        sys.stdout.write(f"{name:32}{first:14,.2f}{last:14,.2f}\n")
    sys.stdout.write(f"{len(samples)} samples kept in {kept.relative_to(ROOT)}.\n")


if __name__ == "__main__":
    end_in_order()
    main()
