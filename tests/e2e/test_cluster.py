"""The same jobs on a Spark cluster of a master and two workers: local mode's rows and prices, with a worker killed."""

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse.core.net import free_port
from lakehouse.spark import jars, java
from lakehouse.streaming import checkpoints
from tests.e2e.running import Platform, rows_of, wait_for

pytestmark = pytest.mark.e2e
SALES = 1000
PER_BATCH = 200  # five batches of each query

JAVA, QUICK = "spark.executor.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # for runs of seconds


@dataclass
class Cluster:
    """A running master and its workers."""

    url: str
    workers: list["subprocess.Popen[bytes]"]

    def kill_worker(self) -> None:
        """End a worker and its executors as a machine that fails does."""
        worker = self.workers.pop()
        for process in [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]:
            process.kill()
        worker.wait(20)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A master and two workers of one core each, on free ports of loopback; stopped afterwards."""
    folder.mkdir()
    url = f"spark://127.0.0.1:{(port := free_port())}"
    everything = [_daemon(folder, "master.Master", "--port", str(port))]
    workers = []
    try:
        wait_for(lambda: _listens(port), 60, "the master's start")
        options = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work"), url]
        workers += [_daemon(folder, "worker.Worker", *options) for _ in range(2)]
        everything += workers
        log = folder / "master.Master.log"
        wait_for(lambda: log.read_text().count("Registering worker") == 2, 60, "the workers' start")
        yield Cluster(url, workers)
    finally:
        for process in reversed(everything):
            process.terminate()
            process.wait(30)


def _daemon(folder: Path, name: str, *options: str) -> "subprocess.Popen[bytes]":
    """A daemon as Spark's own scripts start it."""
    command = [str(jars.pyspark_home() / "bin/spark-class"), f"org.apache.spark.deploy.{name}"]
    command += ["--host", "127.0.0.1", "--webui-port", str(free_port()), *options]
    java_home = str(Path(java.find()).resolve().parent.parent)
    env = {"JAVA_HOME": java_home, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=log, cwd=folder)


def _listens(port: int) -> bool:
    return any(each.laddr.port == port for each in psutil.net_connections("tcp") if each.status == "LISTEN")


def rows(platform: Platform, table: str, *columns: str) -> list[Any]:
    """Those columns of a table's rows, sorted."""
    return sorted(tuple(str(row[name]) for name in columns) for row in rows_of(platform, table))


def batches(platform: Platform, query: str) -> int:
    """How many batches a query has planned."""
    folder = platform.var / "checkpoints/houses" / query / "offsets"
    return len(list(folder.glob("[0-9]*"))) if folder.exists() else 0


def trained_and_priced(platform: Platform) -> dict[str, float]:
    """Recompute, train, and the prices of all houses by Spark."""
    platform.run("recompute.py")
    platform.run("train.py")
    return {row["id"]: float(row["price"]) for row in csv.DictReader(io.StringIO(platform.run("predict.py", "--all")))}


def test_a_cluster_gives_the_rows_and_prices_of_local_mode_and_a_dead_worker_loses_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    platform.run("build_datasets.py", "--load")
    far = replace(platform, var=tmp_path / "var", env={**platform.env, "LAKE_VAR": str(tmp_path / "var")})
    shutil.copytree(platform.var, far.var)
    platform.run("produce.py", "--count", str(SALES), "--rate", "0", "--seed", "1")
    platform.run("stream.py", "--trigger", "available-now")
    here = trained_and_priced(platform)
    with cluster(tmp_path / "cluster") as spark:
        few = ("--conf", "spark.sql.shuffle.partitions=4")  # for two cores
        far.spark = (f"--conf=spark.master={spark.url}", "--conf", "spark.executor.memory=512m", *few)
        far.spark += ("--conf", f"{JAVA}={QUICK}")
        stream = far.job("stream.py", "--trigger", "available-now", "--max-per-batch", str(PER_BATCH))
        wait_for(lambda: batches(far, "history") >= 3 or stream.poll() is not None, 120, "the third batch")
        assert stream.poll() is None, stream.communicate()[1]
        spark.kill_worker()
        error = stream.communicate(timeout=150)[1]
        assert stream.returncode == 0, error
        assert "state has a fixed number of partitions" in error and "partitions=4" in error
        assert checkpoints.state_partitions(far.var / "checkpoints/houses/averages") == 4
        on_cluster = trained_and_priced(far)
    coordinates = ("topic", "partition", "offset", "id", "price", "event_id", "event_at", "recorded_at")
    assert rows(far, "history", *coordinates) == rows(platform, "history", *coordinates)
    assert len(rows_of(far, "history")) > SALES and not rows_of(far, "dead_letters")
    window = ("window_start", "decade", "sales", "sum_cents", "avg_price")
    for table in ("averages", "averages_batch"):
        assert rows(far, table, *window) == rows(platform, table, *window) != []
    assert on_cluster == pytest.approx(here, rel=1e-9)
    assert len(here) > 15_000
