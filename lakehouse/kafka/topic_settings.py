"""Existing topics: which settings differ from those we would give them, what that costs, and setting them."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from lakehouse.settings import settings

WEEK = 7 * 24 * 3_600_000
# What a topic has where its domain says nothing else: Kafka's own defaults.
USUAL = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
    "retention.ms": str(WEEK),
    "retention.bytes": "-1",
}
FIX = "`--fix-topics` sets them"
# What it costs when the value is lower, and when it is higher or another.
_COSTS = {
    "max.message.bytes": (
        "senders of larger batches get an error",
        "larger batches are accepted, and reading them may take more memory than Spark has",
    ),
    "message.timestamp.after.max.ms": (
        "senders of records dated further ahead get an error",
        "one record dated far ahead can make all later ones late",
    ),
    "message.timestamp.before.max.ms": (
        "senders of records dated further back get an error",
        "a record dated long ago is accepted, and retention may delete it before it is read",
    ),
    "retention.ms": ("a stream loses what it has not read by then, and no rebuild or audit can go further back", ""),
    "retention.bytes": ("the oldest records go when a partition holds more, read or not",) * 2,
    "compression.type": (
        "",
        "max.message.bytes bounds the packed size of batches, which may unpack to more memory than Spark has",
    ),
    "message.timestamp.type": (
        "",
        "a record has the time of its arrival: an event without its own time is counted at that time, "
        "and a dead letter that is sent again at the time it is sent",
    ),
}
_UNLISTED = "the platform was not tested with it"


@dataclass(frozen=True)
class TopicSettings:
    """A topic on the broker: partitions, the fewest replicas of one, whether it ever had records, settings."""

    partitions: int
    replicas: int = 1
    brokers: int = 1
    used: bool = True
    config: Mapping[str, str] | None = None  # None: the broker does not show them


class Difference(NamedTuple):
    """A setting that differs, what that costs, and why --fix-topics does not set it (empty when it does)."""

    setting: str
    actual: str
    wanted: str
    cost: str
    left: str = ""

    def sentence(self, topic: str) -> str:
        """The difference, in words."""
        left = f" --fix-topics does not set it: {self.left}." if self.left else ""
        return f"Topic {topic}: {self.setting} is {self.actual}, not {self.wanted}: {self.cost}.{left}"


def differences(topic: Topic, state: TopicSettings) -> list[Difference]:
    """The settings of the topic that differ from ours where that costs something."""
    return [*_partitions(topic, state), *_replicas(state), *_config(topic, state)]


def _partitions(topic: Topic, state: TopicSettings) -> list[Difference]:
    if state.partitions >= topic.partitions:  # more partitions cost nothing
        return []
    cost = f"at most {state.partitions} of Spark's tasks read it at a time"
    return [Difference("partitions", str(state.partitions), str(topic.partitions), cost)]


def _replicas(state: TopicSettings) -> list[Difference]:
    """What only the administrators of the cluster can change."""
    fewest, advice = int((state.config or {}).get("min.insync.replicas", 1)), "ask the cluster's administrators"
    if fewest > state.replicas:
        cost = "producers that wait for all replicas, as ours do, cannot send anything"
        return [Difference("min.insync.replicas", str(fewest), f"at most the {state.replicas} there are", cost, advice)]
    if state.brokers > 1 and state.replicas == 1:
        cost = "while that broker is down nothing can be sent or read, and what its disk loses is lost"
        return [Difference("replicas", "1", "2 or more", cost, advice)]
    if state.replicas > 1 and fewest == 1 and state.config is not None:
        cost = "an event that only one broker has acknowledged can be lost with it"
        return [Difference("min.insync.replicas", "1", "2", cost, advice)]
    return []


def _config(topic: Topic, state: TopicSettings) -> list[Difference]:
    if state.config is None:
        return []
    differ = []
    for name, wanted in {**USUAL, **dict(topic.config)}.items():
        value = state.config.get(name)
        if value is None:
            cost = _COSTS.get(name, ("", _UNLISTED))[1] or _UNLISTED
            differ.append(Difference(name, "unknown to the broker", wanted, cost, "this Kafka is too old for it"))
        elif name == "cleanup.policy":
            differ += _cleanup(wanted, value, state)
        elif value != wanted and (cost := _cost(name, value, wanted)):
            differ.append(Difference(name, value, wanted, cost))
    return differ


def _cost(name: str, value: str, wanted: str) -> str:
    """What the other value costs; empty when nothing."""
    if name not in _COSTS:
        return _UNLISTED
    lower = _is_number(value) and _is_number(wanted) and _amount(name, value) < _amount(name, wanted)
    cost = _COSTS[name][0 if lower else 1]
    return f"{cost} ({int(value) / 3_600_000:,.1f} hours)" if cost and name == "retention.ms" else cost


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _amount(name: str, value: str) -> float:
    return float("inf") if name.startswith("retention.") and int(value) < 0 else int(value)  # -1 is without end


def _cleanup(wanted: str, value: str, state: TopicSettings) -> list[Difference]:
    is_, should = ({part.strip() for part in text.split(",")} for text in (value, wanted))
    if is_ == should:
        return []
    cost, left = "a later reader reads each update, not only the newest of a key", ""
    if "compact" in is_ - should:
        cost = (
            "compaction deletes every record but the newest of its key, read or not, so events are lost; "
            "records without a key are refused"
        )
    elif "delete" in should - is_:
        cost = "the newest record of each key is kept for ever"
    endless = (state.config or {}).get("retention.ms") == "-1"
    if "delete" in should - is_ and state.used and not endless:
        left = "the broker would delete the records older than retention.ms"
    return [Difference("cleanup.policy", value, wanted, cost, left)]


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
        sentences.append(f"The start goes on with the topics as they are; {FIX}.")
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
