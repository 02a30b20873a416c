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
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow.compute as pc
import typer

from jobs.houses import datasets
from jobs.houses.schema import DOMAIN, FIELDS, SALES
from lakehouse import entry
from lakehouse.errors import DataError, LakeError
from lakehouse.kafka import producer, topics
from lakehouse.settings import settings

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
    if not rows.num_rows and datasets.is_empty():
        fix = f"Send your own to the topic {SALES.name}, or start over with the committed ones in another LAKE_VAR."
        raise DataError("The lake was begun empty: there are no sales to send.", fix)
    if lacking := pc.sum(datasets.incomplete(rows)).as_py():
        typer.echo(f"{lacking:,} of {rows.num_rows:,} sales lack a fact that each event must have: they are not sent.")
        rows = rows.filter(pc.invert(datasets.incomplete(rows)))
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


class Sender(producer.Sender[Sale]):
    """Sends sales, each stamped as it is sent."""

    def __init__(self, bootstrap_servers: str, rate: float, delivery_timeout: float, stop: threading.Event) -> None:
        super().__init__(bootstrap_servers, SALES.name, rate, delivery_timeout, stop)
        self.stamp = Stamp()

    def message(self, event: Sale, number: int) -> producer.Outgoing:
        """The sale's message."""
        return producer.Outgoing(self.stamp.value(event, number), event.key)


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
