"""Offsets asked of a real broker while the leaders of its partitions change."""

from pathlib import Path

import pytest

from jobs.houses.schema import DOMAIN, SALES
from lakehouse import topics
from lakehouse.broker import Broker

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("lake")]


def test_offsets_are_told_of_a_topic_just_made_and_of_a_broker_just_started_again(tmp_path: Path) -> None:
    broker, none = Broker(tmp_path / "kafka", port=0), dict.fromkeys(range(SALES.partitions), 0)
    with (tmp_path / "kafka.log").open("wb") as log:
        broker.start(log)
        try:
            topics.ensure(broker.bootstrap_servers, DOMAIN.topics)
            assert topics.end_offsets(broker.bootstrap_servers, SALES.name, none) == none
            assert broker.process
            broker.process.kill()
            broker.process.wait()
            broker.start(log)
            assert topics.starts(broker.bootstrap_servers, SALES.name, none) == none
        finally:
            broker.stop()
