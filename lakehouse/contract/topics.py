"""A Kafka topic as a domain declares it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: its name, partitions and settings."""

    name: str
    partitions: int
    about: str
    config: tuple[tuple[str, str], ...] = ()
