"""Fixtures by tier: a lake of one's own for all, a Spark session for `spark`, a broker for `e2e`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from lakehouse.environment import clean
from lakehouse.settings import ROOT, settings
from tests.browser import launch
from tests.postgres import running_postgres


def pytest_configure() -> None:
    """Jobs run by tests never write to the lake of a running platform; their streams are as short as other jobs."""
    clean()
    os.environ.pop("LAKE_BOOTSTRAP_SERVERS", None)
    os.environ["LAKE_STREAM_JAVA_OPTIONS"] = settings().job_java_options
    settings.cache_clear()


@pytest.fixture(autouse=True)
def environment_kept() -> Iterator[None]:
    """A test that runs `lake` in this process cleans this process's environment, which the next test needs whole."""
    before = dict(os.environ)
    yield
    for name in (os.environ.keys() | before.keys()) - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty var/ for this test."""
    monkeypatch.setenv("LAKE_VAR", str(tmp_path / "var"))
    settings.cache_clear()
    yield tmp_path / "var"
    settings.cache_clear()


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """One local Spark session with Delta and Kafka for the whole run, started as a job starts it."""
    from lakehouse.spark.session import spark_session, stop_jvm
    from lakehouse.spark.submit import environment

    os.environ.update(
        {
            name: value
            for name, value in environment([]).items()
            if name.startswith(("PYSPARK", "JAVA_HOME", "SPARK_HOME"))
        }
    )
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[2] --conf spark.ui.enabled=false {os.environ['PYSPARK_SUBMIT_ARGS']}"
    )
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = spark_session("tests")
    yield session
    stop_jvm(session)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one headless browser of the run; each test opens a page of its own in it."""
    with sync_playwright() as playwright:
        yield launch(playwright)


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """A Kafka broker of our own on a free port, with nothing in it; its bootstrap servers."""
    from lakehouse.embedded.kafka_broker import Broker

    broker = Broker(folder / "kafka", port=0)
    with (folder / "kafka.log").open("wb") as log:
        broker.start(log)
        try:
            yield broker.bootstrap_servers
        finally:
            broker.stop()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for the tests that do not mind what others have sent."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """How to connect to the one PostgreSQL of the run; each domain has a schema of its own in it."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture
def postgres_lake(postgres_server: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """How to connect to it, and an empty lake that writes to it."""
    monkeypatch.setenv("LAKE_POSTGRES_DSN", postgres_server)
    settings.cache_clear()
    return postgres_server


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
