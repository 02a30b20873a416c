"""What the `produce.py` of every domain does: the checks before it sends, the run, and how it ends."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated

import typer

from lakehouse.contract.domain import Domain
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.kafka.producer import Event, Progress, Sender
from lakehouse.settings import settings

BootstrapServer = Annotated[str, typer.Option(help="host:port of Kafka, instead of the configured one.")]


def prepare(domain: Domain, bootstrap_server: str) -> str:
    """The broker's address, once it answers and has the domain's topics."""
    bootstrap_servers = bootstrap_server or settings().brokers()
    topics.check(bootstrap_servers)
    topics.ensure(bootstrap_servers, domain.topics)
    return bootstrap_servers


def send(sender: Sender[Event], events: Iterator[Event]) -> Progress:
    """Send the events, with a live line on a terminal; print the counts at the end."""
    progress = sender.progress
    with progress.live if sys.stderr.isatty() else nullcontext():
        sender.run(events)
    typer.echo(progress.line(progress.began))
    return progress


def check_delivered(progress: Progress, events: str) -> None:
    """Raises LakeError when not all events (by their plural) were delivered."""
    if progress.failed:
        what = f"{progress.failed} of {progress.sent} {events} were not delivered; the first: {progress.first_error}."
        raise LakeError(what, "Check that the broker runs (`lake status`).")
