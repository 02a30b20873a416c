"""Sends events to a topic at a rate. Nothing acknowledged is lost or doubled; failures are printed and counted."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message
from rich.console import Console
from rich.live import Live

from lakehouse.core.stop_signal import StopSignal
from lakehouse.kafka import client

SLICE = 500  # messages between two looks at the clock, the delivery reports and the stop signal
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.1  # seconds; shorter would spin at high rates, longer would delay a stop
MOST_BEHIND = 1.0  # seconds; after a stall only this much is caught up, without a long burst
STOP_FLUSH = 10.0  # seconds for unacknowledged messages after a stop signal
SHOWN_ERRORS = 3
ANY_PARTITION = -1  # the client chooses by the key
Event = TypeVar("Event")
Clock = Callable[[], float]


class Outgoing(NamedTuple):
    """A message ready to send."""

    value: bytes | None
    key: bytes
    partition: int = ANY_PARTITION


@dataclass
class Pace:
    """How many messages are due at `rate` a second since the start; rate 0 is as many as can be sent."""

    rate: float
    start: float

    def due(self, sent: int, now: float) -> int:
        """Messages to send now, at most SLICE."""
        if not self.rate:
            return SLICE
        behind = now - self.start - sent / self.rate
        self.start += max(behind - MOST_BEHIND, 0)
        return max(0, min(int((now - self.start) * self.rate) + 1 - sent, SLICE))

    def change(self, rate: float, sent: int, now: float) -> None:
        """Change the rate from now on."""
        self.rate, self.start = rate, now - sent / rate

    def pause(self, sent: int, now: float) -> float:
        """Seconds until the next message is due, within bounds."""
        if not self.rate:
            return 0
        return min(max(self.start + sent / self.rate - now, SHORTEST_PAUSE), LONGEST_PAUSE)


class Progress:
    """Counts of sent, acknowledged and failed messages, on stderr: a live line on a terminal, else one every 10 s."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.sent, self.acknowledged, self.failed, self.first_error = 0, 0, 0, ""
        self.began = self.shown_at = clock()
        self.shown_sent, self.away = 0, False
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Count a delivery report; the producer calls this from within poll and flush."""
        if error is None:
            self.acknowledged += 1
            self.away = False
        else:
            self.fail(f"partition {message.partition()}: {error.str()}")

    def fail(self, text: str) -> None:
        """Count a failed message; only the first few are printed."""
        self.failed += 1
        self.first_error = self.first_error or text
        if self.failed <= SHOWN_ERRORS:
            self.live.console.print(f"Not delivered: {text}")

    def on_error(self, error: KafkaError) -> None:
        """The client recovers from most errors by itself; print once, not at every try, that no broker answers."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self.away:
            self.away = True
            self.live.console.print(
                "No broker answers; unacknowledged messages are sent again until the delivery timeout."
            )

    def line(self, since: float, sent_then: int = 0) -> str:
        """The counts, and the rate since then, as one line."""
        rate = (self.sent - sent_then) / max(self._clock() - since, 1e-9)
        return f"sent {self.sent}  acknowledged {self.acknowledged}  failed {self.failed}  {rate:.1f}/s"

    def show(self) -> None:
        """Show the counts when it is time."""
        if self._clock() - self.shown_at < (0.25 if self.live.is_started else 10):
            return
        line = self.line(self.shown_at, self.shown_sent)
        self.shown_at, self.shown_sent = self._clock(), self.sent
        if self.live.is_started:
            self.live.update(line, refresh=True)
        else:
            self.live.console.print(line)


class Sender(ABC, Generic[Event]):
    """A producer that neither loses nor doubles an acknowledged message, with its pace, progress and stop signal."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        rate: float,
        delivery_timeout: float,
        stop: StopSignal,
        clock: Clock = time.monotonic,
    ) -> None:
        self.topic, self.stop, self.clock = topic, stop, clock
        self.pace, self.progress = Pace(rate, clock()), Progress(clock)
        self.flush_seconds = delivery_timeout + 5
        options = {"linger.ms": 5, "compression.type": "lz4", "delivery.timeout.ms": int(delivery_timeout * 1000)}
        self.producer = client.producer(bootstrap_servers, {**options, "error_cb": self.progress.on_error})

    @abstractmethod
    def message(self, event: Event, number: int) -> Outgoing:
        """The message of an event, the run's `number`th."""

    def run(self, events: Iterator[Event]) -> None:
        """Send the events at the rate until there are no more or a stop is requested, then wait for the reports."""
        event = next(events, None)
        while event is not None and not self.stop.requested:
            due = self.pace.due(self.progress.sent, self.clock())
            while due and event is not None and self.offer(event):
                event, due = next(events, None), due - 1
            # Messages are still due when the queue is full: wait for room in it.
            self.producer.poll(LONGEST_PAUSE if due else self.pace.pause(self.progress.sent, self.clock()))
            self.progress.show()
        self.flush()

    def offer(self, event: Event) -> bool:
        """Give an event to the producer; False when its queue is full. A fatal error ends the run."""
        value, key, partition = self.message(event, self.progress.sent)
        where: dict[str, Any] = {} if partition == ANY_PARTITION else {"partition": partition}
        try:
            self.producer.produce(self.topic, value, key, on_delivery=self.progress.report, **where)
        except BufferError:
            return False
        except KafkaException as error:
            self.progress.fail(error.args[0].str())
            if error.args[0].fatal():
                self.stop.request()
        self.progress.sent += 1
        return True

    def flush(self) -> None:
        """Wait for outstanding delivery reports, not as long after a stop; a missing report counts as a failure."""
        deadline = self.clock() + self.flush_seconds
        while self.producer.flush(0.2) and self.clock() < deadline:
            if self.stop.requested:
                deadline = min(deadline, self.clock() + STOP_FLUSH)
            self.progress.show()
        for _ in range(self.progress.sent - self.progress.acknowledged - self.progress.failed):
            self.progress.fail("no delivery report in time")
