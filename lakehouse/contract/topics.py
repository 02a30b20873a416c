"""A Kafka topic as a domain declares it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: its name, partitions and settings.

    `encoded_by_us`: only processes of this platform write to it, with the domain's own encoder, so a reader need not
    check its records.
    """

    name: str
    partitions: int
    about: str
    config: tuple[tuple[str, str], ...] = ()
    encoded_by_us: bool = False


def event_topic(name: str, partitions: int, about: str) -> Topic:
    """A topic that others send events to, with limits on what the broker accepts.

    Record times must be recent: Kafka deletes by that time, so an old record might be deleted before it is read.
    Batches are stored uncompressed, so the size limit applies to their real size: a few compressed kilobytes could
    fill Spark's memory.
    """
    limits = (
        ("max.message.bytes", "4194304"),
        ("compression.type", "uncompressed"),
        ("message.timestamp.after.max.ms", "300000"),
        ("message.timestamp.before.max.ms", "86400000"),
    )
    return Topic(name, partitions, about, limits)
