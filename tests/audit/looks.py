"""What tests of the queries look at, and how they have a point of a batch fail."""

from collections.abc import Sequence

import psutil
import pytest

from lakehouse.core import kill_points
from tests.audit import oracle
from tests.jobs.houses import audit_oracle
from tests.sites import Site


def conservation(site: Site) -> list[str]:
    """What is wrong with the tables of records."""
    return oracle.conservation(site, oracle.records(site))


def averages(site: Site) -> list[str]:
    """What is wrong with the averages."""
    return audit_oracle.averages(oracle.records(site))


def python_workers(java: int) -> list[int]:
    """The Python workers of a JVM: what its daemons have forked."""
    daemons = [child for child in psutil.Process(java).children() if child.name().startswith("python")]
    return [worker.pid for daemon in daemons for worker in daemon.children()]


def fail_at(monkeypatch: pytest.MonkeyPatch, wanted: Sequence[str], times: int = 1) -> dict[str, int]:
    """Have the points fail as often; how often each is still to fail."""
    left = dict.fromkeys(wanted, times)

    def point(name: str, batch_id: int) -> None:
        if left.get(f"{name}:{batch_id}", 0):
            left[f"{name}:{batch_id}"] -= 1
            raise RuntimeError(f"failed at {name}:{batch_id}")

    monkeypatch.setattr(kill_points, "point", point)
    return left
