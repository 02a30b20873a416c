"""The settings of existing topics on the broker: reading them, saying which differ from ours, and setting them."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    ResourceType,
)

from lakehouse.contract.topics import Topic
from lakehouse.kafka import topics
from lakehouse.kafka.topic_differences import TopicSettings, differences
from lakehouse.settings import settings


def begin(bootstrap_servers: str, of: Sequence[Topic], fix: bool = False) -> None:
    """Create the topics that do not exist yet; log what `settle` finds at the others."""
    import structlog

    topics.ensure(bootstrap_servers, of)
    for sentence in settle(bootstrap_servers, of, fix):
        structlog.get_logger().warning(sentence)


def settle(bootstrap_servers: str, of: Sequence[Topic], fix: bool = False) -> list[str]:
    """A sentence for each setting that differs; `fix` sets what can be set, and deletes nothing.

    A setting that the broker does not let us see or set is a sentence, too.
    """
    try:
        return _settle(bootstrap_servers, of, fix)
    except (KafkaException, TimeoutError) as error:
        return [f"The settings of the topics could not be compared: {_reason(error)}."]


def _settle(bootstrap_servers: str, of: Sequence[Topic], fix: bool) -> list[str]:
    states, sentences = read_settings(bootstrap_servers, of), []
    if fix:
        client, done = topics.admin(bootstrap_servers), set()
        for topic in (topic for topic in of if topic.name in states):
            for setting, sentence, is_set in _set_differences(client, topic, states[topic.name]):
                sentences.append(sentence)
                done |= {(topic.name, setting)} if is_set else set()
        states = _read_until_set(bootstrap_servers, of, done)
    settable = False
    for topic in (topic for topic in of if topic.name in states):
        differ = differences(topic, states[topic.name])
        sentences += [one.sentence(topic.name) for one in differ]
        settable |= any(not one.left for one in differ)
        if states[topic.name].config is None:
            sentences.append(f"Topic {topic.name}: the broker does not let us see its settings; they are not compared.")
    if settable and not fix:
        sentences.append("The start goes on with the topics as they are; `--fix-topics` sets them.")
    return sentences


def _read_until_set(
    bootstrap_servers: str, of: Sequence[Topic], done: set[tuple[str, str]]
) -> dict[str, TopicSettings]:
    """The topics once the broker shows what was set, which takes it a moment."""
    until = time.monotonic() + topics.TIMEOUT
    while True:
        states = read_settings(bootstrap_servers, of)
        late = [
            one
            for topic in of
            if topic.name in states
            for one in differences(topic, states[topic.name])
            if (topic.name, one.setting) in done
        ]
        if not late or time.monotonic() > until:
            return states
        time.sleep(0.1)


def read_settings(bootstrap_servers: str, of: Iterable[Topic]) -> dict[str, TopicSettings]:
    """The topics that exist, by name, as the broker has them. Raises KafkaException."""
    client = topics.admin(bootstrap_servers)
    metadata = client.list_topics(timeout=topics.TIMEOUT)
    names = [name for topic in of if (name := topic.name) in metadata.topics]
    resources = {ConfigResource(ResourceType.TOPIC, name): name for name in names}
    configs = {}
    for resource, future in (client.describe_configs(list(resources)) if resources else {}).items():
        configs[resources[resource]] = _values(future)
    states = {}
    for name in names:
        parts = metadata.topics[name].partitions
        config, replicas = configs[name], min((len(part.replicas) for part in parts.values()), default=1)
        used = "compact" in (config or {}).get("cleanup.policy", "") and any(
            topics.end_offsets(bootstrap_servers, name, parts).values()
        )
        states[name] = TopicSettings(len(parts), replicas, len(metadata.brokers), used, config)
    return states


def _values(future: Any) -> dict[str, str] | None:
    """The settings; None when we may not see them."""
    try:
        entries = future.result(topics.TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
            return None
        raise
    values = {name: str(entry.value) for name, entry in entries.items() if entry.value is not None}
    bound = entries.get("retention.bytes")
    if settings().bootstrap_servers == "embedded" and bound and bound.source != ConfigSource.DYNAMIC_TOPIC_CONFIG.value:
        values["retention.bytes"] = "-1"  # the embedded broker's own bound is ours
    return values


def _set_differences(client: AdminClient, topic: Topic, state: TopicSettings) -> Iterator[tuple[str, str, bool]]:
    """Set what differs and can be set; yields each setting, a sentence about it, and whether it is set."""
    differ = [one for one in differences(topic, state) if not one.left]
    if any(one.setting == "partitions" for one in differ):
        done = _outcome(client.create_partitions([NewPartitions(topic.name, topic.partitions)])[topic.name])
        moves = (
            " Later events of a key may go to another partition than its earlier ones. Streams read the new partitions "
            "from their first record; producers use them after a restart."
        )
        sentence = f"Topic {topic.name}: partitions {done} {topic.partitions} (there were {state.partitions})."
        yield "partitions", sentence + (moves if done == _SET else ""), done == _SET
    changes = {one.setting: one.wanted for one in differ if one.setting != "partitions"}
    if changes:
        done = _outcome(_alter(client, topic.name, changes))
        for name, value in changes.items():
            yield name, f"Topic {topic.name}: {name} {done} {value}.", done == _SET


_SET = "set to"


def _alter(client: AdminClient, topic: str, values: Mapping[str, str]) -> Any:
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in values.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    return client.incremental_alter_configs([resource])[resource]


def _outcome(future: Any) -> str:
    """`set to`, or why it could not be set."""
    try:
        future.result(topics.TIMEOUT)
    except (KafkaException, TimeoutError) as error:
        return f"could not be set ({_reason(error)}) to"
    return _SET


def _reason(error: Exception) -> str:
    """What the broker said, without a full stop."""
    kafka = error.args[0] if error.args else None
    return kafka.str().rstrip(".") if isinstance(kafka, KafkaError) else "the broker does not answer in time"
