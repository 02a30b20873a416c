"""The class archive follows what domains declare; where none declares a short run, none is made."""

from pathlib import Path

import pytest

from lakehouse.contract import discovery
from lakehouse.errors import LakeError
from lakehouse.ops import class_archive


def test_it_is_missing_only_where_a_domain_can_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_archive, "ARCHIVE", tmp_path / "spark.jsa")
    assert class_archive.is_missing(["production"])
    (tmp_path / "spark.jsa").touch()
    assert not class_archive.is_missing()
    (tmp_path / "spark.jsa").unlink()
    monkeypatch.setattr(discovery, "with_short_run", lambda names: None)
    assert not class_archive.is_missing()


def test_without_a_short_run_it_says_so_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "with_short_run", lambda names: None)
    with pytest.raises(LakeError, match="No domain declares a short run"):
        class_archive.make()
