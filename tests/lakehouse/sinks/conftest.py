"""A PostgreSQL and a lake for the tests of sinks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import settings
from tests.postgres import running_postgres


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """How to connect to it."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture
def postgres_lake(postgres_server: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server, and an empty lake that writes to it."""
    monkeypatch.setenv("LAKE_POSTGRES_DSN", postgres_server)
    settings.cache_clear()
    return postgres_server
