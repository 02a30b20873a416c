"""Kafka topics seen from outside Spark: make them, and read their offsets and ids."""

import functools
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from lakehouse.contract.topics import Topic
from lakehouse.errors import UnavailableError
from lakehouse.kafka import client as kafka
from lakehouse.kafka.client import no_answer

TIMEOUT = 10.0
# A topic just made, a broker just started again: soon over.
_LEADER_MOVES = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
)
# The broker will not make a topic, or not with these settings: asking again is of no use.
_REFUSALS = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.POLICY_VIOLATION,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_REPLICATION_FACTOR,
)


@dataclass(frozen=True)
class TopicState:
    """A topic as the broker knows it: its id and the first and next offset of each partition."""

    name: str
    topic_id: str
    starts: dict[int, int]
    ends: dict[int, int]


def admin(bootstrap_servers: str) -> AdminClient:
    """An admin client (kept, since its futures die with it); its own log lines are silenced."""
    return _admin(bootstrap_servers, tuple(kafka.security().items()))[0]


@functools.lru_cache(maxsize=4)
def _admin(bootstrap_servers: str, security: tuple[tuple[str, str], ...]) -> tuple[AdminClient, list[KafkaError]]:
    errors: list[KafkaError] = []
    options: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, **dict(security), "error_cb": errors.append}
    waits = {"socket.timeout.ms": 10_000, "reconnect.backoff.max.ms": 1_000}  # soon back once the broker is
    return AdminClient({**options, "log_level": 0, **waits}), errors


def check(bootstrap_servers: str, timeout: float = TIMEOUT) -> str:
    """The cluster id of the broker that answers. Raises UnavailableError when none does."""
    client, errors = _admin(bootstrap_servers, tuple(kafka.security().items()))
    errors.clear()
    try:
        metadata = client.list_topics(timeout=timeout)
    except KafkaException:
        client.poll(0)  # lets the client tell its errors
        raise no_answer(bootstrap_servers, errors, timeout) from None
    return str(metadata.cluster_id)


def ensure(bootstrap_servers: str, topics: Iterable[Topic]) -> None:
    """Make the topics that are not there yet, with as many replicas as the cluster gives by default.

    Raises UnavailableError when the broker does not let us, with what is to be made.
    """
    client = admin(bootstrap_servers)
    there = client.list_topics(timeout=TIMEOUT).topics
    wanted = {topic.name: topic for topic in topics if topic.name not in there}
    new = [
        NewTopic(topic.name, topic.partitions, replication_factor=-1, config=dict(topic.config))
        for topic in wanted.values()
    ]
    for name, future in (client.create_topics(new) if new else {}).items():
        try:
            future.result(TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() in _REFUSALS:
                raise _not_made(wanted[name], error.args[0]) from None
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process made it just now
                raise


def _not_made(topic: Topic, error: KafkaError) -> UnavailableError:
    values = ", ".join(f"{name}={value}" for name, value in topic.config)
    return UnavailableError(
        f"Topic {topic.name} is not there, or not ours to see, and the broker does not let us make it: "
        f"{error.str().rstrip('.')}.",
        f"Have it made with {topic.partitions} partitions{' and ' + values if values else ''}; "
        "a start tells which settings differ.",
    )


def state(bootstrap_servers: str, topic: str) -> TopicState | None:
    """Id and offsets of a topic; None when the broker has no such topic."""
    client = admin(bootstrap_servers)
    # Of all topics: asked for by its name, one that is not there is made by a broker that makes topics by itself.
    metadata = client.list_topics(timeout=TIMEOUT).topics.get(topic)
    if metadata is None or metadata.error is not None:
        return None
    starts = _offsets(client, topic, list(metadata.partitions), OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    ends = _offsets(client, topic, list(metadata.partitions), OffsetSpec.latest())  # type: ignore[no-untyped-call]
    return TopicState(topic, _topic_id(client, topic), starts, ends)


def partitions(bootstrap_servers: str, topic: str, wait: float = TIMEOUT) -> int:
    """How many partitions the topic has; one just made is waited for. Raises UnavailableError when there is none."""
    until = time.monotonic() + wait
    while True:
        found = admin(bootstrap_servers).list_topics(timeout=TIMEOUT).topics.get(topic)
        if found is not None and found.partitions:
            return len(found.partitions)
        if time.monotonic() > until:
            raise UnavailableError(f"The broker has no topic {topic}.", "Start the lake: `lake up`.")
        time.sleep(0.1)


def end_offsets(
    bootstrap_servers: str, topic: str, partitions: Iterable[int], timeout: float = TIMEOUT
) -> dict[int, int]:
    """The next offset of each partition: how many events it has ever been given. Raises TimeoutError."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    return _offsets(admin(bootstrap_servers), topic, list(partitions), latest, timeout)


def listens(bootstrap_servers: str, timeout: float = 1.0) -> bool:
    """Whether anything accepts connections at one of the addresses."""
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout):
                return True
        except (OSError, ValueError):
            continue
    return False


def committed_ends(bootstrap_servers: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The offset up to which each partition can be read without open transactions."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    return _offsets(admin(bootstrap_servers), topic, list(partitions), latest, isolation=IsolationLevel.READ_COMMITTED)


def starts(bootstrap_servers: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The first offset that each partition still holds."""
    return _offsets(admin(bootstrap_servers), topic, list(partitions), OffsetSpec.earliest())  # type: ignore[no-untyped-call]


def _offsets(
    client: AdminClient,
    topic: str,
    partitions: list[int],
    spec: OffsetSpec,
    timeout: float = TIMEOUT,
    isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
) -> dict[int, int]:
    asked = {TopicPartition(topic, partition): spec for partition in partitions}
    until = time.monotonic() + timeout
    while True:
        futures = client.list_offsets(asked, isolation_level=isolation) if asked else {}
        try:
            return {where.partition: future.result(timeout).offset for where, future in sorted(futures.items())}
        except KafkaException as error:
            if error.args[0].code() not in _LEADER_MOVES or time.monotonic() > until:
                raise
        client.list_topics(timeout=timeout)  # the client asks those whom it knows as leaders
        time.sleep(0.1)


def _topic_id(client: AdminClient, topic: str) -> str:
    from confluent_kafka import TopicCollection

    futures = client.describe_topics(TopicCollection([topic]))
    return str(futures[topic].result(TIMEOUT).topic_id)
