"""Each domain has a suite, and what starts the suites by hand can be started."""

import subprocess
import sys

import pytest

from lakehouse.settings import ROOT
from tests import suite
from tests.suite import Suite

BY_HAND = ("tests.audit", "tests.audit.poison", "tests.audit.bomb", "tests.bench", "tests.bench.soak")


@pytest.mark.parametrize("name", suite.names())
def test_the_suite_of_a_domain_is_of_its_queries(name: str) -> None:
    found = suite.load(name)
    assert isinstance(found, Suite)
    assert found.domain.name == name
    assert found.points.keys() == {*found.domain.queries}
    assert found.views


@pytest.mark.parametrize("module", BY_HAND)
def test_what_is_started_by_hand_starts(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
