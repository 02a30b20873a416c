"""How the dashboard's reads grow with the lake. No Kafka; a JVM only for the maintenance between."""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from dashboard.ui import event_grid
from jobs.houses import schema
from lakehouse.settings import ROOT
from lakehouse.tables import loads, table_io
from lakehouse.tables.reader import TableReader
from tests.sites import in_force

ROWS = 21_613  # of the real file
TIMES = (1, 10, 100)
WINDOWS = (1_000, 10_000, 100_000)
FILE_ROWS = 100_000  # as a compaction leaves them, roughly
SPAN = timedelta(days=2)
COORDINATES = ("topic", "partition", "offset", "recorded_at")
FEED = ("id", "price", "yr_built", *COORDINATES)
BASE = datetime(2026, 1, 1, tzinfo=UTC)


def ids(numbers: Any) -> Any:
    """House ids in no order, each of one sale."""
    return (numbers * 2_654_435_761 % 9_999_999_967).astype(str)


def sales(first: int, count: int) -> pa.Table:
    """Sales at those offsets, one a second."""
    at = np.arange(first, first + count)
    micros = np.datetime64(BASE.replace(tzinfo=None), "us") + at.astype("timedelta64[s]")
    moments = pa.array(micros).cast(pa.timestamp("us", tz="UTC"))
    found: dict[str, Any] = dict.fromkeys(schema.HISTORY.columns)
    found |= {
        "id": pa.array(ids(at)),
        "price": pa.array(at % 1_000_000 + 1.0).cast(pa.decimal128(12, 2)),
    }
    found |= {"yr_built": pa.array((1900 + at % 115).astype("int32")), "topic": pa.array(["houses"] * count)}
    found |= {"partition": pa.array((at % 4).astype("int32")), "offset": pa.array(at // 4), "recorded_at": moments}
    found |= {"event_at": moments, "source": pa.array(["stream"] * count), "event_id": pa.array(at.astype(str))}
    columns = [
        pa.array(at * 7_919 % 9_973 % 100).cast(field.type)
        if found[field.name] is None
        else found[field.name].cast(field.type)
        for field in schema.HISTORY.arrow_schema
    ]
    return pa.table(columns, schema=schema.HISTORY.arrow_schema)


def windows(first: int, count: int, final: bool) -> pa.Table:
    """So many windows of two minutes with twelve decades each."""
    at, decade = np.divmod(np.arange(12 * first, 12 * (first + count)), 12)
    start = np.datetime64(BASE.replace(tzinfo=None), "us") + (120 * at).astype("timedelta64[s]")
    moments = pa.array(start).cast(pa.timestamp("us", tz="UTC"))
    size = len(at)
    values = {
        **{"window_start": moments, "window_end": pc.add(moments, pa.scalar(timedelta(minutes=2)))},
        **{"decade": pa.array((1900 + 10 * decade).astype("int32")), "avg_price": pa.array(500_000.0 + at)},
        **{"sales": pa.array(np.full(size, 5)), "sum_cents": pa.array(np.full(size, 250_000_000))},
        **{"is_final": pa.array([final] * size), "generation": pa.array(["g"] * size)},
        **{"batch_id": pa.array(at), "updated_at": moments},
    }
    return pa.table([values[name] for name in schema.AVERAGES.columns], schema=schema.AVERAGES.arrow_schema)


def millis(work: Callable[[], object], repeats: int = 5) -> float:
    """Median milliseconds of the work."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def history(times: int) -> dict[str, float]:
    """Milliseconds of what pages read of a history so many times the real file, before and after `lake maintain`, and
    after 20 more sales; seconds of the maintenance and megabytes of the table.
    """
    delta, count = table_io.create(schema.HISTORY), ROWS * times
    for first in range(0, count, FILE_ROWS):
        write_deltalake(delta, sales(first, min(FILE_ROWS, count - first)), mode="append")
    found = {"house, unmaintained, ms": _search(77), "MB, unmaintained": _megabytes()}
    began = time.perf_counter()
    maintain = [str(ROOT / "spark-submit.sh"), "-m", "lakehouse.tables.maintain", schema.DOMAIN.name]
    subprocess.run(maintain, check=True, capture_output=True)
    found |= {"maintain, s": time.perf_counter() - began, "MB": _megabytes()}
    delta = DeltaTable(schema.HISTORY.path)
    house = pc.field("id") == ids(np.array([77]))[0]
    feed = TableReader(schema.HISTORY, loads.newest(event_grid.ROWS, FEED))
    of_house = TableReader(schema.HISTORY, loads.found_once(house, 1000))
    found |= {"feed, first, ms": millis(feed.read, 1), "house, first, ms": millis(of_house.read, 1)}
    more = iter(range(5))

    def grown() -> None:
        write_deltalake(delta, sales(count + 20 * next(more), 20), mode="append")

    for name, reader in (("feed", feed), ("house", of_house)):
        taken = []
        more = iter(range(5))
        for _ in range(5):
            grown()
            taken.append(millis(reader.read, 1))
        found[f"{name}, 20 sales later, ms"] = statistics.median(taken)
    assert [str(one) for one in of_house.read().frame["id"]] == [ids(np.array([77]))[0]], of_house.read().error
    return found


def _search(number: int) -> float:
    """Milliseconds of a house's first search."""
    house = pc.field("id") == ids(np.array([number]))[0]
    return millis(TableReader(schema.HISTORY, loads.found_once(house, 1000)).read, 1)


def _megabytes() -> float:
    files = pa.table(DeltaTable(schema.HISTORY.path).get_add_actions(flatten=True))
    return float(pc.sum(files["size_bytes"]).as_py()) / 1e6


def averages(kept: int) -> dict[str, float]:
    """Milliseconds of reading what pages show of so many windows, and of a batch's upsert among them."""
    delta = table_io.create(schema.AVERAGES)
    write_deltalake(delta, windows(0, kept, True), mode="append")
    rows = windows(kept, 2, False)
    bound = f"target.window_start >= '{BASE + kept * timedelta(minutes=2)}'"
    batch = iter(range(100))

    def upsert() -> None:
        table_io.upsert(delta, rows, schema.AVERAGES.keys, "bench", next(batch), bound)

    upsert()
    reader = loads.recent("window_start", SPAN)
    return {"upsert, ms": millis(upsert), "read of two days, ms": millis(lambda: _loaded(reader))}


def _loaded(load: loads.Loader) -> pa.Table:
    delta = DeltaTable(schema.AVERAGES.path)
    return load(schema.AVERAGES, delta, pa.table(delta.get_add_actions(flatten=True)).to_pandas())


def in_a_lake(measure: Callable[[int], dict[str, float]], size: int) -> dict[str, float]:
    """What is measured in a lake of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder, in_force(LAKE_VAR=f"{folder}/var"):
        return measure(size)
