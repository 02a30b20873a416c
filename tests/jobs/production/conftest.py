"""A PostgreSQL of our own on a free port, for the tests that write to one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.production.plant import read_plant
from lakehouse.settings import ROOT, settings
from tests.postgres import running_postgres


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """How to connect to it."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture
def postgres(server: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server, and an empty lake that writes to it."""
    monkeypatch.setenv("LAKE_POSTGRES_DSN", server)
    settings.cache_clear()
    return server


@pytest.fixture
def conf(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plant's file of this test, as the committed one says at first, and an empty lake."""
    monkeypatch.setenv("LAKE_DOMAIN_CONF", str(tmp_path))
    settings.cache_clear()
    read_plant.cache_clear()
    (tmp_path / "production.toml").write_text((ROOT / "conf/production.toml").read_text())
    return tmp_path / "production.toml"
