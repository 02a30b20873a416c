"""Topics that are there already: which settings differ from those we would give them, what that costs, setting them."""

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
# What every topic of ours has where its domain says nothing else: Kafka's own defaults.
USUAL = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
    "retention.ms": str(WEEK),
    "retention.bytes": "-1",
}
FIX = "`--fix-topics` sets them"
# What a value costs that is lower, and one that is higher or another.
_COSTS = {
    "max.message.bytes": (
        "larger batches are refused to their sender",
        "larger batches come through, and reading them may take more memory than Spark has",
    ),
    "message.timestamp.after.max.ms": (
        "records dated further ahead are refused to their sender",
        "one record dated far ahead can make all that come after it late",
    ),
    "message.timestamp.before.max.ms": (
        "records dated further back are refused to their sender",
        "a record dated long ago is taken, and retention may delete it before it is read",
    ),
    "retention.ms": ("what a stream has not read by then is gone, and no rebuild or audit reaches further back", ""),
    "retention.bytes": ("the oldest records go when a partition holds more, read or not",) * 2,
    "compression.type": (
        "",
        "packed batches are held to max.message.bytes as they are packed, and may unpack to more memory than Spark has",
    ),
    "message.timestamp.type": (
        "",
        "a record bears the time of its arrival: an event without a time of its own counts then, "
        "and a dead letter that is sent again is of now",
    ),
}
_UNLISTED = "the platform was not tried with it"


@dataclass(frozen=True)
class Found:
    """A topic as the broker has it: partitions, the fewest replicas of one, whether it ever had records, settings."""

    partitions: int
    replicas: int = 1
    brokers: int = 1
    used: bool = True
    config: Mapping[str, str] | None = None  # None: the broker does not say


class Difference(NamedTuple):
    """A setting that differs, what that costs, and why --fix-topics leaves it (empty when it sets it)."""

    setting: str
    found: str
    wanted: str
    cost: str
    left: str = ""

    def sentence(self, topic: str) -> str:
        """The difference, in words."""
        left = f" --fix-topics leaves it: {self.left}." if self.left else ""
        return f"Topic {topic}: {self.setting} is {self.found}, not {self.wanted}: {self.cost}.{left}"


def differences(topic: Topic, found: Found) -> list[Difference]:
    """What of the topic differs from what we would give it, and costs something."""
    return [*_partitions(topic, found), *_replicas(found), *_config(topic, found)]


def _partitions(topic: Topic, found: Found) -> list[Difference]:
    if found.partitions >= topic.partitions:  # more of them cost nothing
        return []
    cost = f"at most {found.partitions} of Spark's tasks read it at a time"
    return [Difference("partitions", str(found.partitions), str(topic.partitions), cost)]


def _replicas(found: Found) -> list[Difference]:
    """What only those can mend who run the cluster."""
    fewest, theirs = int((found.config or {}).get("min.insync.replicas", 1)), "ask those who run the cluster"
    if fewest > found.replicas:
        cost = "nobody who waits for all replicas, as our producers do, can send anything"
        return [Difference("min.insync.replicas", str(fewest), f"at most the {found.replicas} there are", cost, theirs)]
    if found.brokers > 1 and found.replicas == 1:
        cost = "while that broker is away nothing can be sent or read, and what its disk loses is lost"
        return [Difference("replicas", "1", "2 or more", cost, theirs)]
    if found.replicas > 1 and fewest == 1 and found.config is not None:
        cost = "an event that one broker alone has acknowledged can be lost with it"
        return [Difference("min.insync.replicas", "1", "2", cost, theirs)]
    return []


def _config(topic: Topic, found: Found) -> list[Difference]:
    if found.config is None:
        return []
    differ = []
    for name, wanted in {**USUAL, **dict(topic.config)}.items():
        value = found.config.get(name)
        if value is None:
            cost = _COSTS.get(name, ("", _UNLISTED))[1] or _UNLISTED
            differ.append(Difference(name, "unknown to the broker", wanted, cost, "this Kafka is too old for it"))
        elif name == "cleanup.policy":
            differ += _cleanup(wanted, value, found)
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


def _cleanup(wanted: str, value: str, found: Found) -> list[Difference]:
    is_, should = ({part.strip() for part in text.split(",")} for text in (value, wanted))
    if is_ == should:
        return []
    cost, left = "a reader who comes later reads each update, not only the newest of a key", ""
    if "compact" in is_ - should:
        cost = (
            "compaction deletes every record but the newest of its key, read or not, so events are lost; "
            "records without a key are refused"
        )
    elif "delete" in should - is_:
        cost = "the newest record of each key is kept for ever"
    endless = (found.config or {}).get("retention.ms") == "-1"
    if "delete" in should - is_ and found.used and not endless:
        left = "it would have the broker delete the records older than retention.ms"
    return [Difference("cleanup.policy", value, wanted, cost, left)]


def begin(bootstrap_servers: str, of: Sequence[Topic], fix: bool = False) -> None:
    """Make the topics that are not there yet; what `settle` tells of the others goes into the log."""
    import structlog

    topics.ensure(bootstrap_servers, of)
    for sentence in settle(bootstrap_servers, of, fix):
        structlog.get_logger().warning(sentence)


def settle(bootstrap_servers: str, of: Sequence[Topic], fix: bool = False) -> list[str]:
    """What a start tells of the topics: a sentence for each setting that differs; `fix` sets what can be set.

    Deletes nothing. What the broker does not let us see or set is a sentence, too.
    """
    try:
        return _settle(bootstrap_servers, of, fix)
    except (KafkaException, TimeoutError) as error:
        return [f"The settings of the topics could not be compared: {_reason(error)}."]


def _settle(bootstrap_servers: str, of: Sequence[Topic], fix: bool) -> list[str]:
    found, told = read(bootstrap_servers, of), []
    if fix:
        client, done = topics.admin(bootstrap_servers), set()
        for topic in (topic for topic in of if topic.name in found):
            for setting, sentence, is_set in _fixed(client, topic, found[topic.name]):
                told.append(sentence)
                done |= {(topic.name, setting)} if is_set else set()
        found = _after(bootstrap_servers, of, done)
    settable = False
    for topic in (topic for topic in of if topic.name in found):
        differ = differences(topic, found[topic.name])
        told += [one.sentence(topic.name) for one in differ]
        settable |= any(not one.left for one in differ)
        if found[topic.name].config is None:
            told.append(f"Topic {topic.name}: the broker does not let us see its settings; they are not compared.")
    if settable and not fix:
        told.append(f"The start goes on with the topics as they are; {FIX}.")
    return told


def _after(bootstrap_servers: str, of: Sequence[Topic], done: set[tuple[str, str]]) -> dict[str, Found]:
    """The topics once the broker tells what was set, which it may do a little later."""
    until = time.monotonic() + topics.TIMEOUT
    while True:
        found = read(bootstrap_servers, of)
        late = [
            one
            for topic in of
            if topic.name in found
            for one in differences(topic, found[topic.name])
            if (topic.name, one.setting) in done
        ]
        if not late or time.monotonic() > until:
            return found
        time.sleep(0.1)


def read(bootstrap_servers: str, of: Iterable[Topic]) -> dict[str, Found]:
    """Those of the topics that are there, as the broker has them. Raises KafkaException."""
    client = topics.admin(bootstrap_servers)
    metadata = client.list_topics(timeout=topics.TIMEOUT)
    there = [name for topic in of if (name := topic.name) in metadata.topics]
    resources = {ConfigResource(ResourceType.TOPIC, name): name for name in there}
    configs = {}
    for resource, future in (client.describe_configs(list(resources)) if resources else {}).items():
        configs[resources[resource]] = _values(future)
    found = {}
    for name in there:
        parts = metadata.topics[name].partitions
        config, replicas = configs[name], min((len(part.replicas) for part in parts.values()), default=1)
        used = "compact" in (config or {}).get("cleanup.policy", "") and any(
            topics.end_offsets(bootstrap_servers, name, parts).values()
        )
        found[name] = Found(len(parts), replicas, len(metadata.brokers), used, config)
    return found


def _values(future: Any) -> dict[str, str] | None:
    """The settings; None when they are not ours to see."""
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


def _fixed(client: AdminClient, topic: Topic, found: Found) -> Iterator[tuple[str, str, bool]]:
    """Set what differs and can be set; each setting with what became of it, and whether it is set."""
    differ = [one for one in differences(topic, found) if not one.left]
    if any(one.setting == "partitions" for one in differ):
        done = _tried(client.create_partitions([NewPartitions(topic.name, topic.partitions)])[topic.name])
        moves = (
            " What a key has sent stays in its partition, later events of it may go to another; streams read the new "
            "ones from their first record, producers use them once they are started again."
        )
        sentence = f"Topic {topic.name}: partitions {done} {topic.partitions} (there were {found.partitions})."
        yield "partitions", sentence + (moves if done == _SET else ""), done == _SET
    changes = {one.setting: one.wanted for one in differ if one.setting != "partitions"}
    if changes:
        done = _tried(_altered(client, topic.name, changes))
        for name, value in changes.items():
            yield name, f"Topic {topic.name}: {name} {done} {value}.", done == _SET


_SET = "set to"


def _altered(client: AdminClient, topic: str, values: Mapping[str, str]) -> Any:
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in values.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    return client.incremental_alter_configs([resource])[resource]


def _tried(future: Any) -> str:
    """`set to`, or why it was not."""
    try:
        future.result(topics.TIMEOUT)
    except (KafkaException, TimeoutError) as error:
        return f"could not be set ({_reason(error)}) to"
    return _SET


def _reason(error: Exception) -> str:
    """What the broker said, without a full stop."""
    kafka = error.args[0] if error.args else None
    return kafka.str().rstrip(".") if isinstance(kafka, KafkaError) else "the broker does not answer in time"
