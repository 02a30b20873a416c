"""Kafka topics from outside Spark: creates them, reads their offsets and ids."""

import functools
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from lakehouse.contract.topics import Topic
from lakehouse.errors import UnavailableError
from lakehouse.kafka.client import no_answer, security
from lakehouse.kafka.offset_ranges import Offsets

TIMEOUT = 10.0
# Passes soon: a topic was just created, a broker just restarted.
_LEADER_MOVES = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
)
# The broker refuses to create a topic, or these settings: a retry does not help.
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
    """Topics as the broker knows them: the id of each by name, and the first and next offset of each partition."""

    ids: dict[str, str]
    starts: Offsets
    ends: Offsets


def admin(bootstrap_servers: str) -> AdminClient:
    """An admin client (kept, since its futures die with it); it logs nothing."""
    return _admin(bootstrap_servers, tuple(security().items()))[0]


@functools.lru_cache(maxsize=4)
def _admin(bootstrap_servers: str, login: tuple[tuple[str, str], ...]) -> tuple[AdminClient, list[KafkaError]]:
    errors: list[KafkaError] = []
    options: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, **dict(login), "error_cb": errors.append}
    waits = {"socket.timeout.ms": 10_000, "reconnect.backoff.max.ms": 1_000}  # reconnects soon after the broker is back
    return AdminClient({**options, "log_level": 0, **waits}), errors


def check(bootstrap_servers: str, timeout: float = TIMEOUT) -> str:
    """The cluster id of the broker. Raises UnavailableError when none answers."""
    client, errors = _admin(bootstrap_servers, tuple(security().items()))
    errors.clear()
    try:
        metadata = client.list_topics(timeout=timeout)
    except KafkaException:
        client.poll(0)  # calls error_cb
        raise no_answer(bootstrap_servers, errors, timeout) from None
    return str(metadata.cluster_id)


def ensure(bootstrap_servers: str, topics: Iterable[Topic]) -> None:
    """Create the topics that do not exist yet, with the cluster's default number of replicas.

    Raises UnavailableError, which says what to create, when the broker does not let us.
    """
    client = admin(bootstrap_servers)
    existing = client.list_topics(timeout=TIMEOUT).topics
    wanted = {topic.name: topic for topic in topics if topic.name not in existing}
    new = [
        NewTopic(topic.name, topic.partitions, replication_factor=-1, config=dict(topic.config))
        for topic in wanted.values()
    ]
    for name, future in (client.create_topics(new) if new else {}).items():
        try:
            future.result(TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() in _REFUSALS:
                raise _cannot_create(wanted[name], error.args[0]) from None
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process just created it
                raise


def _cannot_create(topic: Topic, error: KafkaError) -> UnavailableError:
    values = ", ".join(f"{name}={value}" for name, value in topic.config)
    return UnavailableError(
        f"Topic {topic.name} does not exist, or we may not see it, and the broker does not let us create it: "
        f"{error.str().rstrip('.')}.",
        f"Have it created with {topic.partitions} partitions{' and ' + values if values else ''}; "
        "a start lists settings that differ.",
    )


def state(bootstrap_servers: str, topic: str) -> TopicState | None:
    """Id and offsets of a topic; None when the broker has no such topic."""
    found = states(bootstrap_servers, [topic])
    return found if found.ids else None


def states(bootstrap_servers: str, topics: Sequence[str]) -> TopicState:
    """Ids and offsets of the topics; what the broker does not have is left out."""
    client = admin(bootstrap_servers)
    # Of all topics: a broker with auto.create.topics.enable would create a missing one that is asked for by name.
    every = client.list_topics(timeout=TIMEOUT).topics
    known = [name for name in topics if name in every and every[name].error is None]
    places = [TopicPartition(name, partition) for name in known for partition in every[name].partitions]
    starts = _offsets(client, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    ends = _offsets(client, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    return TopicState(_topic_ids(client, known), starts, ends)


def existing(bootstrap_servers: str, topics: Sequence[str], fix: str) -> TopicState:
    """As `states`. Raises UnavailableError with this way out when the broker lacks one of the topics."""
    found = states(bootstrap_servers, topics)
    if missing := [name for name in topics if name not in found.ids]:
        raise UnavailableError(f"The broker has no topic {' and no topic '.join(missing)}.", fix)
    return found


def partitions(bootstrap_servers: str, topic: str, wait: float = TIMEOUT) -> int:
    """The number of partitions of a topic; waits for a topic just created. Raises UnavailableError without one."""
    until = time.monotonic() + wait
    while True:
        metadata = admin(bootstrap_servers).list_topics(timeout=TIMEOUT).topics.get(topic)
        if metadata is not None and metadata.partitions:
            return len(metadata.partitions)
        if time.monotonic() > until:
            raise UnavailableError(f"The broker has no topic {topic}.", "Start the lake: `lake up`.")
        time.sleep(0.1)


def end_offsets(
    bootstrap_servers: str, topic: str, partitions: Iterable[int], timeout: float = TIMEOUT
) -> dict[int, int]:
    """The next offset of each partition: how many records it ever got. Raises TimeoutError."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    places = [TopicPartition(topic, partition) for partition in partitions]
    ends = _offsets(admin(bootstrap_servers), places, latest, timeout)
    return {partition: offset for (_topic, partition), offset in ends.items()}


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


def committed_ends(
    bootstrap_servers: str, partitions: Iterable[tuple[str, int]], timeout: float = TIMEOUT
) -> dict[tuple[str, int], int]:
    """The offset up to which each partition can be read without open transactions. Raises TimeoutError."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    places = [TopicPartition(*where) for where in partitions]
    return _offsets(admin(bootstrap_servers), places, latest, timeout, IsolationLevel.READ_COMMITTED)


def starts(bootstrap_servers: str, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """The first offset that each partition still holds."""
    places = [TopicPartition(*where) for where in partitions]
    return _offsets(admin(bootstrap_servers), places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]


def _offsets(
    client: AdminClient,
    places: Iterable[TopicPartition],
    spec: OffsetSpec,
    timeout: float = TIMEOUT,
    isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
) -> dict[tuple[str, int], int]:
    specs = dict.fromkeys(places, spec)
    until = time.monotonic() + timeout
    while True:
        futures = client.list_offsets(specs, isolation_level=isolation) if specs else {}
        try:
            found = {(at.topic, at.partition): future.result(timeout).offset for at, future in futures.items()}
            return dict(sorted(found.items()))
        except KafkaException as error:
            if error.args[0].code() not in _LEADER_MOVES or time.monotonic() > until:
                raise
        client.list_topics(timeout=timeout)  # the client learns the new leaders
        time.sleep(0.1)


def _topic_ids(client: AdminClient, topics: list[str]) -> dict[str, str]:
    from confluent_kafka import TopicCollection

    futures = client.describe_topics(TopicCollection(topics)) if topics else {}
    return {name: str(future.result(TIMEOUT).topic_id) for name, future in futures.items()}
