"""Killed with SIGKILL at chosen points of a batch; `make audit` takes every point of every batch."""

from pathlib import Path

import pytest

from tests.audit import crashes
from tests.audit.place import site

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800)]


def test_killed_between_its_writes_a_stream_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with site(tmp_path, seed=1) as place:
        assert crashes.crash(place, crashes.FEW) == []
