"""Whether executors can decode events: with the platform's packages they can, without them a sentence says so."""

from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import RefusedError
from lakehouse.spark import executors

pytestmark = pytest.mark.spark


def test_executors_with_the_packages_pass(spark: Any) -> None:
    executors.check(spark)


def test_executors_without_the_packages_are_refused(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lakehouse").mkdir()  # workers find this package before the platform's
    (tmp_path / "lakehouse/__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'lakehouse'\")")
    monkeypatch.setitem(spark.sparkContext.environment, "PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(spark.sparkContext.environment, "PYTHONSAFEPATH", "1")  # not the folder it is started in first
    with pytest.raises(RefusedError, match=r"cannot decode events: .*No module named 'lakehouse'.*`make setup`"):
        executors.check(spark)
