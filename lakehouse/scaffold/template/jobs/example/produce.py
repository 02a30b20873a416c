"""Sends events drawn at random to the topic example: one JSON message per event, keyed by id."""

import itertools
import json
import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from jobs.example.schema import DOMAIN, EVENTS
from lakehouse import entry
from lakehouse.core.stop_signal import StopSignal
from lakehouse.kafka import produce_job, producer

IDS = tuple(f"thing-{number}" for number in range(1, 9))
LARGEST = 100  # quantity of an event
Event = dict[str, Any]


def draw(seed: int | None) -> Iterator[Event]:
    """Events without end, not yet stamped; the same seed draws the same ones."""
    dice = random.Random(seed)
    while True:
        yield {"id": dice.choice(IDS), "quantity": dice.randint(1, LARGEST)}


class Sender(producer.Sender[Event]):
    """Sends events, each stamped with the time and an event id that is unique across runs."""

    def __init__(self, bootstrap_servers: str, rate: float, stop: StopSignal) -> None:
        super().__init__(bootstrap_servers, EVENTS.name, rate, 30, stop, time.monotonic)
        self.run_id = uuid.uuid4().hex[:16]

    def message(self, event: Event, number: int) -> producer.Outgoing:
        """The event's message."""
        stamp = {"event_id": f"{self.run_id}-{number}", "happened_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}
        return producer.Outgoing(json.dumps({**event, **stamp}).encode(), event["id"].encode())


def main(
    rate: Annotated[float, typer.Option(min=0, max=1e6, help="Events a second; 0 is as fast as it goes.")] = 20,
    count: Annotated[int, typer.Option(min=0, help="Events to send; 0 is without end.")] = 0,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same events.")] = None,
    bootstrap_server: produce_job.BootstrapServer = "",
) -> None:
    """Send events to Kafka until --count is reached, Ctrl-C or SIGTERM."""
    stop = StopSignal().listen()
    sender = Sender(produce_job.prepare(DOMAIN, bootstrap_server), rate, stop)
    progress = produce_job.send(sender, itertools.islice(draw(seed), count or None))
    produce_job.check_delivered(progress, "events")


if __name__ == "__main__":
    entry.run(main)
