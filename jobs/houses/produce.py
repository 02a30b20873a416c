"""Sales drawn at random -> topic houses: one JSON message per sale, keyed by house id."""

import json
import random
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple

import typer
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from rich.console import Console
from rich.live import Live

from jobs.houses import datasets
from jobs.houses.schema import DOMAIN, FIELDS, SALES
from lakehouse import entry, kafka, topics
from lakehouse.errors import DataError, LakeError
from lakehouse.settings import settings

SLICE = 500  # messages between two looks at the clock, the delivery reports and the stop signal
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.1  # shorter would spin at high rates, longer would be deaf to a signal
MOST_BEHIND = 1.0  # seconds of sales made up for after a stall; older ones are not sent in a burst
STOP_FLUSH = 10.0  # seconds that a stop signal leaves for the messages on their way
SHOWN_ERRORS = 3
Source = Literal["to-stream", "for-sale"]


class Sale(NamedTuple):
    """A sale ready to send: its key, and its JSON without the end, which differs from one sending to the next."""

    key: bytes
    head: str


def read(source: Source) -> list[Sale]:
    """The sales of a set; those for sale with their withheld prices. Raises DataError when there are none."""
    if source == "to-stream":
        [rows] = datasets.read_sets(datasets.TO_STREAM)
    else:
        rows, prices = datasets.read_sets(datasets.FOR_SALE, datasets.FOR_SALE_PRICES)
        rows = rows.append_column("price", prices["price"])  # one row for each, in the same order
    if not rows.num_rows:
        raise DataError(f"The set {source} holds no sales.", "Build the data sets with a larger fraction for it.")
    return [encode(row) for row in rows.to_pylist()]


def encode(row: Mapping[str, Any]) -> Sale:
    """A row of a data set as a sale ready to send."""
    fields = {field.name: _plain(row[field.name]) for field in FIELDS if field.name in row}
    return Sale(row["id"].encode(), json.dumps(fields, separators=(",", ":"))[:-1])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return value


class Stamp:
    """Ends a sale's JSON with the present time and an event id that no other run has, whatever the seed."""

    def __init__(self) -> None:
        self.run_id = uuid.uuid4().hex[:16]
        self.second, self.text = 0, ""

    def value(self, sale: Sale, number: int) -> bytes:
        """The message of the sale, the run's `number`th."""
        second, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        if second != self.second:
            self.second, self.text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        end = f',"sold_at":"{self.text}.{milliseconds:03d}Z","event_id":"{self.run_id}-{number}"}}'
        return (sale.head + end).encode()


def draw(sales: Sequence[Sale], seed: int | None, repeats: bool) -> Iterator[Sale]:
    """Sales at random: with repeats for ever, without them until each was drawn once."""
    dice = random.Random(seed)
    if not repeats:
        yield from dice.sample(sales, len(sales))
    while repeats:
        yield sales[int(dice.random() * len(sales))]


@dataclass
class Pace:
    """How many messages are due at `rate` a second since the start; rate 0 is as many as can be sent."""

    rate: float
    start: float = field(default_factory=time.monotonic)

    def due(self, sent: int, now: float) -> int:
        """Messages to send now, at most a slice."""
        if not self.rate:
            return SLICE
        behind = now - self.start - sent / self.rate
        self.start += max(behind - MOST_BEHIND, 0)
        return max(0, min(int((now - self.start) * self.rate) + 1 - sent, SLICE))

    def pause(self, sent: int, now: float) -> float:
        """Seconds until the next message is due, within bounds."""
        if not self.rate:
            return 0
        return min(max(self.start + sent / self.rate - now, SHORTEST_PAUSE), LONGEST_PAUSE)


class Progress:
    """What became of the messages, on stderr: a live line on a terminal, else a line every 10 s; errors at once."""

    def __init__(self) -> None:
        self.sent, self.acknowledged, self.failed, self.first_error = 0, 0, 0, ""
        self.began = self.shown_at = time.monotonic()
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
        """Count a failed message; only the first few are told one by one."""
        self.failed += 1
        self.first_error = self.first_error or text
        if self.failed <= SHOWN_ERRORS:
            self.live.console.print(f"Not delivered: {text}")

    def on_error(self, error: KafkaError) -> None:
        """The client goes on by itself after most errors; tell only, and not at every try, that no broker answers."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self.away:
            self.away = True
            self.live.console.print("No broker answers; what is on its way is sent again until the delivery timeout.")

    def line(self, since: float, sent_then: int = 0) -> str:
        """The counts, and the rate since then, as one line."""
        rate = (self.sent - sent_then) / max(time.monotonic() - since, 1e-9)
        return f"sent {self.sent}  acknowledged {self.acknowledged}  failed {self.failed}  {rate:.1f}/s"

    def show(self) -> None:
        """Show the counts when it is time."""
        if time.monotonic() - self.shown_at < (0.25 if self.live.is_started else 10):
            return
        line = self.line(self.shown_at, self.shown_sent)
        self.shown_at, self.shown_sent = time.monotonic(), self.sent
        if self.live.is_started:
            self.live.update(line, refresh=True)
        else:
            self.live.console.print(line)


class Sender:
    """A producer that neither loses nor doubles an acknowledged message, with its pace, progress and stop signal."""

    def __init__(self, bootstrap_servers: str, rate: float, delivery_timeout: float, stop: threading.Event) -> None:
        self.pace, self.progress, self.stop, self.stamp = Pace(rate), Progress(), stop, Stamp()
        self.flush_seconds = delivery_timeout + 5
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "delivery.timeout.ms": int(delivery_timeout * 1000),
                "log_level": 0,
                **kafka.security(),
                "error_cb": self.progress.on_error,
            }
        )

    def run(self, sales: Iterator[Sale]) -> None:
        """Send the sales at their pace until there are no more or a stop is asked for, and wait for the reports."""
        sale = next(sales, None)
        while sale is not None and not self.stop.is_set():
            due = self.pace.due(self.progress.sent, time.monotonic())
            while due and sale is not None and self.offer(sale):
                sale, due = next(sales, None), due - 1
            # What is still due found the queue full: wait for room in it.
            self.producer.poll(LONGEST_PAUSE if due else self.pace.pause(self.progress.sent, time.monotonic()))
            self.progress.show()
        self.flush()

    def offer(self, sale: Sale) -> bool:
        """Hand a sale to the producer; False when its queue is full. An error that ends the producer ends the run."""
        value = self.stamp.value(sale, self.progress.sent)
        try:
            self.producer.produce(SALES.name, value, sale.key, on_delivery=self.progress.report)
        except BufferError:
            return False
        except KafkaException as error:
            self.progress.fail(error.args[0].str())
            if error.args[0].fatal():
                self.stop.set()
        self.progress.sent += 1
        return True

    def flush(self) -> None:
        """Wait for the delivery reports still out, for less time once stopped; one that stays out is a failure."""
        deadline = time.monotonic() + self.flush_seconds
        while self.producer.flush(0.2) and time.monotonic() < deadline:
            if self.stop.is_set():
                deadline = min(deadline, time.monotonic() + STOP_FLUSH)
            self.progress.show()
        for _ in range(self.progress.sent - self.progress.acknowledged - self.progress.failed):
            self.progress.fail("no delivery report in time")


def main(
    rate: Annotated[float, typer.Option(min=0, max=1e6, help="Sales a second; 0 is as fast as it goes.")] = 20,
    count: Annotated[int, typer.Option(min=0, help="Sales to send; 0 is without end.")] = 0,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same houses.")] = None,
    source: Annotated[Source, typer.Option("--from", help="for-sale: each once, at its price.")] = "to-stream",
    bootstrap_server: Annotated[str, typer.Option(help="host:port of Kafka, instead of the configured one.")] = "",
    delivery_timeout: Annotated[float, typer.Option(min=1, help="Seconds until a sale counts as failed.")] = 30,
) -> None:
    """Send house sales to Kafka until --count is reached, Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sales, brokers = read(source), bootstrap_server or settings().brokers()
    topics.check(brokers)
    topics.ensure(brokers, DOMAIN.topics)
    sender = Sender(brokers, rate, delivery_timeout, stop)
    progress = sender.progress
    with progress.live if sys.stderr.isatty() else nullcontext():
        sender.run(islice(draw(sales, seed, repeats=source == "to-stream"), count or None))
    typer.echo(progress.line(progress.began))
    if source == "for-sale" and progress.sent == len(sales):
        typer.echo("All houses for sale are sold.")
    if progress.failed:
        what = f"{progress.failed} of {progress.sent} sales were not delivered; the first: {progress.first_error}."
        raise LakeError(what, "Check that the broker runs (`lake status`).")


if __name__ == "__main__":
    entry.run(main)
