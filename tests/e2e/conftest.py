"""A platform for each file of end-to-end tests, with a broker of its own: they count what is on the topic."""

import os
from collections.abc import Iterator

import pytest

from tests.conftest import running_broker
from tests.e2e.running import Platform


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty broker."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="module")
def platform(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """An empty lake and its broker."""
    var = tmp_path_factory.mktemp("lake") / "var"
    env = {**os.environ, "LAKE_VAR": str(var), "LAKE_BOOTSTRAP_SERVERS": broker}
    return Platform(broker, var, env)
