"""How long a training and an answer take: train.py, `lake price` and the API of a running dashboard."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from jobs.houses.price_model.pricer import Pricer
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from lakehouse.settings import ROOT, settings
from tests.e2e.running import Platform, dashboard_at
from tests.sites import in_force


def timings(questions: int = 500) -> dict[str, list[float]]:
    """Seconds: `train` whole, `train_work` without Spark's start, each run of `price`, each answer of `api`."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder, in_force(LAKE_VAR=f"{folder}/var"):
        _job("build_datasets.py", "--load")
        train = _job("train.py")
        work = Registry(PRICE_MODEL).manifest("v0001").seconds
        ids = [str(house) for house in Pricer().known().houses.ids]
        lake = str(Path(sys.executable).parent / "lake")
        price = [_timed([lake, "price", house]) for house in ids[:5]]
        return {"train": [train], "train_work": [work], "price": price, "api": _api(ids[:: len(ids) // questions])}


def _job(script: str, *options: str) -> float:
    return _timed([str(ROOT / "spark-submit.sh"), f"jobs/houses/{script}", *options])


def _timed(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def _api(ids: list[str]) -> list[float]:
    """One client, one question after the other; the first ones, which load the model, are not counted."""
    seconds = []
    with dashboard_at(Platform("", settings().var, dict(os.environ))) as url:
        for house in [*ids[:5], *ids]:
            began = time.monotonic()
            urllib.request.urlopen(f"{url}/api/houses/{house}/price", timeout=30).read()
            seconds.append(time.monotonic() - began)
    return seconds[5:]
