"""A Kafka topic as a domain declares it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: its name, partitions and settings."""

    name: str
    partitions: int
    about: str
    config: tuple[tuple[str, str], ...] = ()
