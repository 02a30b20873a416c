"""Topics of a real broker: offsets while leaders change, topics that made themselves, settings, limits."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from jobs.houses.schema import DOMAIN, SALES
from lakehouse.contract.discovery import load_all
from lakehouse.contract.topics import Topic
from lakehouse.embedded import kafka_broker
from lakehouse.embedded.kafka_broker import Broker, limit_per_partition
from lakehouse.errors import UnavailableError
from lakehouse.kafka import topic_settings, topics
from lakehouse.settings import settings
from tests.conftest import running_broker
from tests.lakehouse.kafka.test_topic_differences import OURS

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
    resource = ConfigResource(ResourceType.TOPIC, SALES.name)
    return str(topics.admin(broker.bootstrap_servers).describe_configs([resource])[resource].result(10)[name].value)


@pytest.mark.e2e
def test_a_new_topic_and_a_restarted_broker_have_offsets(tmp_path: Path) -> None:
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
            places = {(SALES.name, partition): 0 for partition in none}
            assert topics.starts(broker.bootstrap_servers, places) == places
        finally:
            broker.stop()


# As a cluster of somebody else's: topics make themselves, it has its own defaults, and rights that are not all ours.
THEIRS = """
auto.create.topics.enable=true
num.partitions=1
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
CLUSTER = "kafka-cluster"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that is not ours."""
    folder = tmp_path_factory.mktemp("theirs")
    with pytest.MonkeyPatch.context() as patch:
        taken = ("auto.create", "num.partitions")
        lines = [line for line in kafka_broker._PROPERTIES.splitlines() if not line.startswith(taken)]
        patch.setattr(kafka_broker, "_PROPERTIES", "\n".join(lines) + THEIRS)
        with running_broker(folder) as bootstrap_servers:
            yield bootstrap_servers


def allow(bootstrap_servers: str, topic: str, operation: AclOperation, permission: AclPermissionType) -> None:
    """Let everyone do that with the topic, or not."""
    pattern = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*")
    if topic == CLUSTER:
        pattern = (ResourceType.BROKER, *pattern[1:])
    rule = AclBinding(*pattern, operation, permission)
    topics.admin(bootstrap_servers).create_acls([rule])[rule].result(10)


def made_by_itself(bootstrap_servers: str, topic: Topic, **config: str) -> None:
    topics_to_create = [NewTopic(topic.name, 1, 1, config=config)]
    topics.admin(bootstrap_servers).create_topics(topics_to_create)[topic.name].result(10)


@pytest.mark.e2e
def test_a_question_makes_no_topic(theirs: str) -> None:
    """The dashboard asks before the stream has made its topic."""
    topic = Topic("asked-for", 4, "for this test")
    assert topics.state(theirs, topic.name) is None
    with pytest.raises(UnavailableError, match="has no topic asked-for"):
        topics.partitions(theirs, topic.name, wait=0)
    assert topic_settings.settle(theirs, [topic]) == []
    client, until = topics.admin(theirs), time.monotonic() + 30
    client.list_topics("by-name", timeout=10)
    while "by-name" not in (there := client.list_topics(timeout=10).topics):
        assert time.monotonic() < until, "this broker makes no topics by itself"
        time.sleep(0.1)
    assert topic.name not in there


@pytest.mark.e2e
def test_settings_are_named_and_set_and_nothing_is_lost(theirs: str, lake: Path) -> None:
    made_by_itself(theirs, SALES, **{"cleanup.policy": "compact", "retention.ms": "3600000"})
    topics.ensure(theirs, DOMAIN.topics)
    lines = topic_settings.settle(theirs, DOMAIN.topics)
    assert "Topic houses: partitions is 1, not 4: at most 1 of Spark's tasks read it at a time." in lines
    assert any("cleanup.policy is compact, not delete" in line and "events are lost" in line for line in lines)
    assert lines[-1] == "The start goes on with the topics as they are; `--fix-topics` sets them."
    done = topic_settings.settle(theirs, DOMAIN.topics, fix=True)
    assert any(line.startswith("Topic houses: partitions set to 4 (there were 1). Later events") for line in done)
    assert "Topic houses: cleanup.policy set to delete." in done  # it has no records
    assert topic_settings.settle(theirs, DOMAIN.topics) == []
    state = topic_settings.read_settings(theirs, [SALES])[SALES.name]
    assert state.partitions == 4
    assert OURS.items() <= dict(state.config or {}).items()


@pytest.mark.e2e
def test_a_compacted_topic_with_records_stays_compacted(theirs: str) -> None:
    from confluent_kafka import Producer

    kept = Topic("kept", 1, "for this test")
    made_by_itself(theirs, kept, **{"cleanup.policy": "compact"})
    producer = Producer({"bootstrap.servers": theirs, "log_level": 0})
    producer.produce(kept.name, b"1", b"key")
    assert producer.flush(20) == 0
    (line,) = topic_settings.settle(theirs, [kept], fix=True)
    assert line.endswith("--fix-topics does not set it: the broker would delete the records older than retention.ms.")


@pytest.mark.e2e
def test_what_the_broker_does_not_let_us_do_is_a_sentence(theirs: str) -> None:
    closed, hidden, not_ours = (Topic(name, 2, "for this test") for name in ("closed", "hidden", "not-ours"))
    for topic in (closed, hidden):
        made_by_itself(theirs, topic, **{"retention.ms": "1000"})
        allow(theirs, topic.name, AclOperation.ALL, AclPermissionType.ALLOW)
        allow(theirs, topic.name, AclOperation.ALTER, AclPermissionType.DENY)
        allow(theirs, topic.name, AclOperation.ALTER_CONFIGS, AclPermissionType.DENY)
    allow(theirs, hidden.name, AclOperation.DESCRIBE_CONFIGS, AclPermissionType.DENY)
    allow(theirs, CLUSTER, AclOperation.ALL, AclPermissionType.ALLOW)
    for place in (CLUSTER, not_ours.name):
        allow(theirs, place, AclOperation.CREATE, AclPermissionType.DENY)
    lines = topic_settings.settle(theirs, [closed], fix=True)
    assert (
        lines[0]
        == "Topic closed: partitions could not be set (Broker: Topic authorization failed) to 2 (there were 1)."
    )
    assert lines[1] == "Topic closed: retention.ms could not be set (Topic authorization failed) to 604800000."
    assert any("a stream loses what it has not read" in line for line in lines)
    assert topic_settings.settle(theirs, [hidden])[-2:] == [
        "Topic hidden: the broker does not let us see its settings; they are not compared.",
        "The start goes on with the topics as they are; `--fix-topics` sets them.",
    ]
    with pytest.raises(UnavailableError, match=r"Topic not-ours does not exist.*Have it created with 2 partitions"):
        topics.ensure(theirs, [not_ours])
