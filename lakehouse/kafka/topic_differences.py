"""Which settings of an existing topic differ from those we would give it, and what that costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lakehouse.contract.topics import Topic

WEEK = 7 * 24 * 3_600_000
# What a topic has where its domain says nothing else: Kafka's own defaults.
USUAL = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
    "retention.ms": str(WEEK),
    "retention.bytes": "-1",
}
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
