"""A topic with events that the tests of a file share, and queries that run over it in the tests' own JVM."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from jobs.houses import stream
from jobs.houses.schema import LATENESS, WINDOW
from jobs.houses.stream import QueryName
from lakehouse.core import restart_policy
from lakehouse.core.stop_signal import StopSignal
from lakehouse.kafka import topics
from lakehouse.streaming import runner
from lakehouse.streaming.query import Query
from lakehouse.streaming.runner import Runner
from tests import suite
from tests.audit import crashes
from tests.conftest import running_broker
from tests.postgres import running_postgres
from tests.sites import Site


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A topic with events of a domain, sales unless the test names another; tests share it, each with its own lake."""
    of, folder = suite.load(getattr(request, "param", "houses")), tmp_path_factory.mktemp("site")
    postgres = running_postgres(folder / "postgres") if of.needs_postgres else nullcontext("")
    with running_broker(folder) as bootstrap_servers, postgres as dsn:
        topics.ensure(bootstrap_servers, of.domain.topics)
        site = Site.of(of, bootstrap_servers, Path(), seed=7)
        site.env |= {"LAKE_POSTGRES_DSN": dsn} if dsn else {}
        site.send(crashes.EVENTS)
        yield site


@pytest.fixture
def site(sent: Site, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The topic, and an empty lake."""
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", sent.bootstrap_servers)
    if dsn := sent.env.get("LAKE_POSTGRES_DSN"):
        monkeypatch.setenv("LAKE_POSTGRES_DSN", dsn)
    sent.var = lake
    return sent


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries start again at once, however often they fail; the JVM of the tests stays."""
    monkeypatch.setattr(runner, "stop_jvm", lambda spark: None)
    monkeypatch.setattr(restart_policy, "wait_after", lambda failures: 0.0)
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1000)


@pytest.fixture
def run_queries(spark: Any, site: Site) -> Callable[[list[Query], int], None]:
    """Runs queries to the end of what is on the topic, in batches of so many records."""

    def run(queries: list[Query], most: int) -> None:
        Runner(spark, site.bootstrap_servers, StopSignal(), most).run(queries, "available-now")

    return run


@pytest.fixture
def run(site: Site, run_queries: Callable[[list[Query], int], None]) -> Callable[..., None]:
    """Runs the queries over sales, or some of them."""

    def run(*names: QueryName, most: int = crashes.PER_BATCH, window: str = WINDOW) -> None:
        timing = {"window": window, "slide": None, "lateness": LATENESS}
        run_queries(stream.build(names or tuple(QueryName), site.bootstrap_servers, **timing), most)

    return run
