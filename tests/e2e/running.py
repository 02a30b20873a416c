"""What the end-to-end tests share: jobs started as a user starts them, the topic, tables and page as they are."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from playwright.sync_api import Page

from lakehouse.core import run_state
from lakehouse.core.net import free_port
from lakehouse.core.stop_signal import StopSignal
from lakehouse.settings import ROOT
from lakehouse.streaming.query import MOST_RECORDS, Query
from lakehouse.streaming.runner import Runner

LAKE = str(Path(sys.executable).parent / "lake")


@dataclass
class Platform:
    """Addresses of a running broker and the environment in which jobs find it."""

    bootstrap_servers: str
    var: Path
    env: dict[str, str]
    client: dict[str, str] = field(default_factory=dict)  # what a Kafka client needs to log in
    spark: tuple[str, ...] = ()  # Spark's own flags
    domain: str = "houses"

    def job(self, script: str, *options: str) -> "subprocess.Popen[str]":
        """Start a job as a user does."""
        command = [str(ROOT / "spark-submit.sh"), *self.spark, f"jobs/{self.domain}/{script}", *options]
        return subprocess.Popen(
            command,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )

    def run(self, script: str, *options: str) -> str:
        """Run a job to its end; its output."""
        job = self.job(script, *options)
        try:
            out, err = job.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            raise
        assert job.returncode == 0, err
        return out

    def lake(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command `lake`, whatever its exit code."""
        command = [LAKE, *arguments]
        return subprocess.run(command, env=self.env, cwd="/", capture_output=True, text=True, check=False, timeout=300)

    def lake_output(self, *arguments: str) -> str:
        """Run the command `lake`; its output. Raises AssertionError when it fails."""
        done = self.lake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def drain(spark: Any, bootstrap_servers: str, queries: Sequence[Query], most: int = MOST_RECORDS) -> None:
    """Run each query in this process until it has read all that is there, as the runner starts it."""
    runner = Runner(spark, bootstrap_servers, StopSignal(), most)
    runner._trigger = "available-now"
    for query in queries:
        active = runner._start(query)
        active.awaitTermination()
        assert active.exception() is None


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until there is a value; it. Raises AssertionError when there is none in time."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.2)
    return value


def read_topic(
    bootstrap_servers: str, topic: str, partitions: int | Sequence[int], client: Mapping[str, str] | None = None
) -> list[Any]:
    """Every record that the topic has now, by partition and offset; of so many partitions, or of these."""
    options: dict[str, Any] = {"group.id": "oracle", "enable.auto.commit": False, **(client or {})}
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, **options})
    records = []
    for partition in range(partitions) if isinstance(partitions, int) else partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        consumer.assign([TopicPartition(topic, partition, low)])
        at = low
        while at < high:
            message = consumer.poll(10)
            assert message is not None and message.error() is None
            records.append(message)
            at = message.offset() + 1
    consumer.close()
    return records


def rows_of(platform: Platform, table_name: str) -> list[dict[str, Any]]:
    from deltalake import DeltaTable

    folder = platform.var / "lake" / platform.domain / table_name
    return DeltaTable(folder).to_pyarrow_table().to_pylist() if (folder / "_delta_log").exists() else []


@contextmanager
def lake_up(var: Path, *arguments: str, seconds: float = 480, lake: str = LAKE, **env: str) -> Iterator[Platform]:
    """What `lake up` starts over an empty lake, once everything runs; it ends by SIGTERM, with exit code 0."""
    everything = {**os.environ, "LAKE_VAR": str(var), "LAKE_KAFKA_PORT": str(free_port()), **env}
    everything = {"LAKE_DASHBOARD_PORT": str(free_port()), "COLUMNS": "200", **everything}
    var.parent.mkdir(parents=True, exist_ok=True)
    with (var.parent / "up.txt").open("w+") as out:
        command = [lake, "up", *arguments]
        process = subprocess.Popen(command, env=everything, cwd="/", stdout=out, stderr=out, start_new_session=True)
        platform = Platform("", var, everything)
        try:
            wait_for(lambda: "dashboard_url" in running(platform) or process.poll() is not None, seconds, "the start")
            assert process.poll() is None, (var.parent / "up.txt").read_text()
            platform.bootstrap_servers = running(platform)["bootstrap_servers"]
            if (password := var / "kafka/credentials/lake.password").exists():
                platform.client = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "lake"}
                platform.client |= {"sasl.password": password.read_text()}
                platform.client |= {"ssl.ca.location": str(password.with_name("ca.pem"))}
            yield platform
        finally:
            process.terminate()
            code = process.wait(180)
    assert code == 0, (var.parent / "up.txt").read_text()


def running(platform: Platform) -> dict[str, Any]:
    """What `lake up` tells other processes."""
    return run_state.read_json(platform.var / "run/processes.json")


def state_of(platform: Platform, name: str) -> str:
    """The state of a process of `lake up`; empty when there is none yet. One that failed fails the test."""
    found = {process["name"]: process for process in running(platform).get("processes", [])}.get(name, {})
    assert found.get("state") not in ("failed", "backing off"), found
    return str(found.get("state", ""))


@contextmanager
def dashboard_at(platform: Platform) -> Iterator[str]:
    """The address of a dashboard that shows the platform's lake."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "dashboard.app", "--port", str(port)]
    app = subprocess.Popen(command, env=platform.env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(f"{url}/health"), 60, "the dashboard's answer")
        yield url
    finally:
        app.terminate()
        app.wait(20)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def keep_screenshot(page: Page, name: str) -> None:
    """Keep the page as it looks under var/."""
    folder = ROOT / "var/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
