"""Offsets asked of a real broker while the leaders of its partitions change, and how much it keeps."""

import shutil
from pathlib import Path

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from jobs.houses.schema import DOMAIN, SALES
from lakehouse import topics
from lakehouse.broker import Broker, limit_per_partition
from lakehouse.domain import load_all
from lakehouse.settings import settings

pytestmark = pytest.mark.usefixtures("lake")
PARTITIONS = sum(topic.partitions for domain in load_all() for topic in domain.topics)


def test_the_broker_keeps_at_most_half_of_the_disk_or_what_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limit_per_partition(tmp_path) * PARTITIONS <= shutil.disk_usage(tmp_path).total / 2
    kept = limit_per_partition(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 0))  # full of others'
    assert limit_per_partition(tmp_path) == 5 * 10**11 // PARTITIONS != kept
    for limit, per_partition in (("9", 9 * 10**9 // PARTITIONS), ("0.001", 64_000_000)):
        monkeypatch.setenv("LAKE_KAFKA_LIMIT_GB", limit)
        settings.cache_clear()
        assert limit_per_partition(tmp_path) == per_partition


def _setting(broker: Broker, name: str) -> str:
    asked = ConfigResource(ResourceType.TOPIC, SALES.name)
    return str(topics.admin(broker.bootstrap_servers).describe_configs([asked])[asked].result(10)[name].value)


@pytest.mark.e2e
def test_offsets_are_told_of_a_topic_just_made_and_of_a_broker_just_started_again(tmp_path: Path) -> None:
    broker, none = Broker(tmp_path / "kafka", port=0), dict.fromkeys(range(SALES.partitions), 0)
    with (tmp_path / "kafka.log").open("wb") as log:
        broker.start(log)
        try:
            topics.ensure(broker.bootstrap_servers, DOMAIN.topics)
            assert topics.end_offsets(broker.bootstrap_servers, SALES.name, none) == none
            assert _setting(broker, "retention.bytes") == str(limit_per_partition(tmp_path))
            assert int(_setting(broker, "segment.bytes")) * 4 <= limit_per_partition(tmp_path)
            assert broker.process
            broker.process.kill()
            broker.process.wait()
            broker.start(log)
            assert topics.starts(broker.bootstrap_servers, SALES.name, none) == none
        finally:
            broker.stop()
