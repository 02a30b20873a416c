"""Echo as a user would run it: the answering process, the asking one, each of which can be killed and started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from lakehouse.contract.runs import real_time_master
from lakehouse.core import run_state
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.kafka import topics
from lakehouse.settings import ROOT
from tests.echo.schema import ANSWERS, REQUESTS, model
from tests.own_lake import own_lake

SLOW = 240  # seconds for a start of Spark on a machine that has other work


@dataclass
class Echo:
    """Where the broker and the lake are, and the answering process if it runs."""

    broker: Broker
    var: Path
    interval: str = "60 seconds"
    stream: "subprocess.Popen[bytes] | None" = None

    @property
    def bootstrap_servers(self) -> str:
        """Where the broker is."""
        return self.broker.bootstrap_servers

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes."""
        place = {"LAKE_VAR": str(self.var), "LAKE_BOOTSTRAP_SERVERS": self.bootstrap_servers}
        return {**os.environ, **place, "PYTHONPATH": str(ROOT)}

    def start_broker(self) -> None:
        """Start the broker, and wait for it."""
        with self.var.with_name("kafka.log").open("ab") as output:
            self.broker.start(output)

    def kill_broker(self) -> None:
        """Kill the broker."""
        assert self.broker.process is not None
        self.broker.process.send_signal(signal.SIGKILL)
        self.broker.process.wait()

    def start(self, *options: str, spark: str = "") -> "subprocess.Popen[bytes]":
        """Start to answer."""
        command = [sys.executable, "-m", "lakehouse.spark.submit", "--master", spark or real_time_master(REQUESTS)]
        command += ["--conf", "spark.ui.enabled=false", "tests/echo/answer.py", "--interval", self.interval, *options]
        with self.output.open("ab") as output:
            self.stream = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=output, stderr=output)
        return self.stream

    def kill(self) -> None:
        """Kill the answering process; its Java ends by itself, or is ended by the next start."""
        assert self.stream is not None
        self.stream.send_signal(signal.SIGKILL)
        self.stream.wait()

    def stop(self) -> int:
        """Stop it as the supervisor does; its exit code."""
        assert self.stream is not None
        self.stream.terminate()
        return self.stream.wait(120)

    @property
    def output(self) -> Path:
        """What it has said."""
        return self.var.with_name("echo.log")

    def progress(self) -> dict[str, object]:
        """What it tells other processes."""
        return run_state.read_json(self.var / "run/progress/echo.texts.json")

    def publish(self, version: str) -> None:
        """Let another version go live."""
        aside = model().with_suffix(".new")
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(version)
        aside.replace(model())

    def alive(self) -> bool:
        """Whether it runs; one that has ended by itself fails the test."""
        assert self.stream is not None
        assert self.stream.poll() is None, self.output.read_text()[-3000:]
        return True

    def at_work(self) -> bool:
        """Whether it runs and answers."""
        self.alive()
        file = self.var / "run/progress/echo.texts.json"
        return file.exists() and file.stat().st_mtime > self._started_at()

    def _started_at(self) -> float:
        assert self.stream is not None
        return psutil.Process(self.stream.pid).create_time()


class Web:
    """The echo's web process, running while the block runs."""

    def __init__(self, echo: Echo, port: int) -> None:
        self._echo, self.port = echo, port

    def __enter__(self) -> "Web":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def start(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "tests.echo.web", str(self.port)]
        with self._echo.output.open("ab") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._echo.env, stdout=output, stderr=output)

    def kill(self) -> None:
        """Kill it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def echoing(folder: Path, interval: str = "60 seconds") -> Iterator[Echo]:
    """A broker with the echo's topics, and its lake, which is this process's, too; what runs is ended."""
    echo = Echo(Broker(folder / "kafka", port=0), folder / "var", interval)
    with own_lake(folder / "var", LAKE_BOOTSTRAP_SERVERS=echo.bootstrap_servers):
        echo.publish("v1")
        try:
            echo.start_broker()
            topics.ensure(echo.bootstrap_servers, [REQUESTS, ANSWERS])
            yield echo
        finally:
            if echo.stream is not None and echo.stream.poll() is None:
                echo.kill()
            echo.broker.stop()
