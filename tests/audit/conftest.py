"""A topic with sales that the tests of a file share, and queries that run over it in the tests' own JVM."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.houses import stream
from jobs.houses.schema import DOMAIN, LATENESS, WINDOW
from jobs.houses.stream import QueryName
from lakehouse.core import restart_policy
from lakehouse.core.stop_signal import StopSignal
from lakehouse.kafka import topics
from lakehouse.streaming import runner
from lakehouse.streaming.runner import Runner
from tests.audit import crashes
from tests.audit.place import Site
from tests.conftest import running_broker


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A topic with sales, an event dated 2099 among the first; tests share it, each with a lake of its own."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as bootstrap_servers:
        topics.ensure(bootstrap_servers, DOMAIN.topics)
        site = Site(bootstrap_servers, Path(), random.Random(7))
        site.send(10)
        site.send(0, future=1)
        site.send(crashes.SALES - 10)
        yield site


@pytest.fixture
def site(sent: Site, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The topic, and an empty lake."""
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", sent.bootstrap_servers)
    sent.var = lake
    return sent


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries start again at once, however often they fail; the JVM of the tests stays."""
    monkeypatch.setattr(runner, "stop_jvm", lambda spark: None)
    monkeypatch.setattr(restart_policy, "wait_after", lambda failures: 0.0)
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1000)


@pytest.fixture
def run(spark: Any, site: Site) -> Callable[..., None]:
    """Runs queries to the end of what is on the topic."""

    def run(*names: QueryName, most: int = int(crashes.PER_BATCH), window: str = WINDOW) -> None:
        queries = stream.build(
            names or tuple(QueryName), site.bootstrap_servers, window=window, slide=None, lateness=LATENESS
        )
        Runner(spark, site.bootstrap_servers, StopSignal(), most).run(queries, "available-now")

    return run
