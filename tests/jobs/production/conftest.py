"""A plant's file that a test may change."""

from pathlib import Path

import pytest

from jobs.production.plant import read_plant
from lakehouse.settings import ROOT, settings


@pytest.fixture
def conf(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plant's file of this test, as the committed one says at first, and an empty lake."""
    monkeypatch.setenv("LAKE_DOMAIN_CONF", str(tmp_path))
    settings.cache_clear()
    read_plant.cache_clear()
    (tmp_path / "production.toml").write_text((ROOT / "conf/production.toml").read_text())
    return tmp_path / "production.toml"
