"""The broker of the rebuild's tests, and a lake of their own."""

import pytest

from lakehouse.kafka import topics
from lakehouse.kafka.topics import TopicState
from lakehouse.ops import rebuild
from tests.lakehouse.ops.rebuild.line import LINE, together
from tests.lakehouse.streaming.test_start_checks import THERE


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> dict[str, TopicState]:
    """What the broker says of the topic; the domain is not among the real ones."""
    said = {"line": THERE}
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(rebuild, "load", lambda name: LINE)
    monkeypatch.setattr(topics, "check", lambda address: "cluster")
    monkeypatch.setattr(topics, "existing", lambda address, names, fix: together(*(said[name] for name in names)))
    return said


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that a rebuild runs; none is run."""
    found: list[tuple[str, ...]] = []
    monkeypatch.setattr(rebuild, "_run", lambda *command: found.append(command))
    return found
