"""Sends sales drawn at random to the topic houses: one JSON message per sale, keyed by house id."""

import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Literal

import pyarrow.compute as pc
import typer
from msgspec.structs import replace

from jobs.houses import datasets
from jobs.houses.events import SALE, Sale
from jobs.houses.schema import DOMAIN, SALES
from lakehouse import entry
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import DataError
from lakehouse.kafka import produce_job, producer

Source = Literal["to-stream", "for-sale"]


def read(source: Source) -> list[Sale]:
    """The sales of a set; houses for sale get their withheld prices. Raises DataError when there are none."""
    if source == "to-stream":
        [rows] = datasets.read_sets(datasets.TO_STREAM)
    else:
        rows, prices = datasets.read_sets(datasets.FOR_SALE, datasets.FOR_SALE_PRICES)
        rows = rows.append_column("price", prices["price"])  # both sets have the same order
    if not rows.num_rows and datasets.is_empty():
        fix = f"Send sales to the topic {SALES.name}, or use another LAKE_VAR, which starts with the committed ones."
        raise DataError("The lake was started empty: there are no sales to send.", fix)
    if incomplete := pc.sum(datasets.incomplete(rows)).as_py():
        typer.echo(f"{incomplete:,} of {rows.num_rows:,} sales lack a required field and are not sent.")
        rows = rows.filter(pc.invert(datasets.incomplete(rows)))
    if not rows.num_rows:
        raise DataError(f"The set {source} has no sales.", "Build the data sets with a larger fraction for it.")
    return [encode(row) for row in rows.to_pylist()]


def encode(row: Mapping[str, Any]) -> Sale:
    """A row of a data set as a sale, not yet stamped."""
    return Sale(**{name: _plain(row[name]) for name in SALE.fields if name in row})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return value


class Stamp:
    """Completes sales with the current time and an event id that is unique across runs, whatever the seed."""

    def __init__(self) -> None:
        self.run_id = uuid.uuid4().hex[:16]
        self.second, self.text = 0, ""

    def value(self, sale: Sale, number: int) -> bytes:
        """The message of the sale, the run's `number`th."""
        second, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        if second != self.second:
            self.second, self.text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        sold_at = f"{self.text}.{milliseconds:03d}Z"
        return SALE.encode(replace(sale, sold_at=sold_at, event_id=f"{self.run_id}-{number}"))


def draw(sales: Sequence[Sale], seed: int | None, repeats: bool) -> Iterator[Sale]:
    """Sales at random: with repeats without end, otherwise each once."""
    dice = random.Random(seed)
    if not repeats:
        yield from dice.sample(sales, len(sales))
    while repeats:
        yield sales[int(dice.random() * len(sales))]


class Sender(producer.Sender[Sale]):
    """Sends sales, each stamped as it is sent."""

    def __init__(
        self,
        bootstrap_servers: str,
        rate: float,
        delivery_timeout: float,
        stop: StopSignal,
        clock: producer.Clock = time.monotonic,
    ) -> None:
        super().__init__(bootstrap_servers, SALES.name, rate, delivery_timeout, stop, clock)
        self.stamp = Stamp()

    def message(self, event: Sale, number: int) -> producer.Outgoing:
        """The sale's message."""
        return producer.Outgoing(self.stamp.value(event, number), str(event.id).encode())


def main(
    rate: Annotated[float, typer.Option(min=0, max=1e6, help="Sales a second; 0 is as fast as it goes.")] = 20,
    count: Annotated[int, typer.Option(min=0, help="Sales to send; 0 is without end.")] = 0,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same houses.")] = None,
    source: Annotated[Source, typer.Option("--from", help="for-sale: each once, at its price.")] = "to-stream",
    bootstrap_server: produce_job.BootstrapServer = "",
    delivery_timeout: Annotated[float, typer.Option(min=1, help="Seconds until a sale counts as failed.")] = 30,
) -> None:
    """Send house sales to Kafka until --count is reached, Ctrl-C or SIGTERM."""
    stop, sales = StopSignal().listen(), read(source)
    sender = Sender(produce_job.prepare(DOMAIN, bootstrap_server), rate, delivery_timeout, stop)
    drawn = draw(sales, seed, repeats=source == "to-stream")
    progress = produce_job.send(sender, islice(drawn, count or None))
    if source == "for-sale" and progress.sent == len(sales):
        typer.echo("All houses for sale are sold.")
    produce_job.check_delivered(progress, "sales")


if __name__ == "__main__":
    entry.run(main)
