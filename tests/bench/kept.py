"""The figures of each run of the bench, kept under var/bench, and what has changed since."""

import json
import os
import platform
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from rich.console import Console
from rich.table import Table

from lakehouse.settings import ROOT

KEPT = ROOT / "var/bench"


def keep(console: Console, figures: dict[str, Any]) -> None:
    """Keep the figures with what they were measured on, and show what changed against the last run kept."""
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    versions = {name: metadata.version(name) for name in ("pyspark", "delta-spark", "deltalake", "confluent-kafka")}
    show_change(console, figures)
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"machine": machine, "versions": versions, **figures}, indent=1))
    console.print(f"Kept in {file.relative_to(ROOT)}.")


def show_change(console: Console, figures: Mapping[str, Any]) -> None:
    """Each figure beside that of the last run kept that has it."""
    kept = [medians(json.loads(file.read_text())) for file in sorted(KEPT.glob("2*.json"), reverse=True)]
    grid = Table("figure", "last kept", "now", "change", box=None, pad_edge=False)
    for name, now in medians(figures).items():
        before = next((old[name] for old in kept if name in old), 0.0)
        if before and "runs" not in name:
            grid.add_row(name, f"{before:,.4g}", f"{now:,.4g}", f"{now / before - 1:+.0%}")
    if grid.row_count:
        console.print(grid)


def medians(figures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every figure under its dotted name; of a list of numbers the median."""
    found: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= medians(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            found[prefix + name] = value
        elif isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
            found[prefix + name] = statistics.median(value)
    return found
