"""The data sets on a machine without time zones (no package tzdata), as a minimal container is one."""

import subprocess
import sys

import pytest

from lakehouse.settings import ROOT

HIDDEN = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /usr/share/zoneinfo && exec "$@"', "sh"]
# What `lake up houses`, a training and the page do with times in Arrow.
CODE = """
import pandas as pd, pyarrow as pa, pyarrow.compute as pc
from dashboard.pages.houses import bands
from jobs.houses import datasets
from jobs.houses.price_model import catalogue
from jobs.houses.build_datasets import COMMITTED
rows = datasets.read_file(COMMITTED).rows
datasets.read_sets = lambda name: [rows]
columns = {"event_at": rows["listed_at"], "yr_built": [1990] * len(rows), "price": rows["price"]}
bands._SALES = lambda *_: pa.table(columns)
spread = bands.spread(None, None, None)
days = catalogue.unsold_houses("any").facts["listed_day"]
print(pc.min(rows["listed_at"]).as_py().isoformat(), days.min(), spread.num_rows > 0)
try:
    print(pc.floor_temporal(rows["listed_at"], unit="hour")[0])
except pa.ArrowInvalid:
    print("no zones")
"""


def test_without_tzdata() -> None:
    if subprocess.run([*HIDDEN, "true"], capture_output=True, check=False).returncode:
        pytest.skip("Only root, with the right to mount, can hide the machine's time zones.")
    done = subprocess.run([*HIDDEN, sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2014-05-02T00:00:00+00:00", "16192.0", "True", "no", "zones"], done.stderr
