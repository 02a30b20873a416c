"""Killed with SIGKILL at chosen points of a batch; `make audit` takes every point of every batch."""

from pathlib import Path

import pytest

from tests import suite
from tests.audit import crashes
from tests.sites import site

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("domain", suite.names())
def test_killed_between_its_writes_a_stream_loses_and_doubles_nothing(domain: str, tmp_path: Path) -> None:
    with site(tmp_path, suite.load(domain)) as place:
        assert crashes.chain(place, crashes.FEW) == []
