"""`lake up` and `lake down`: starts and stops the platform."""

import os
from typing import Annotated

import typer

from lakehouse.cli.options import Started
from lakehouse.cli.terminal import console
from lakehouse.settings import settings


def up(
    domains: Started = None,
    produce: Annotated[bool, typer.Option(help="Also run the demo's producer.")] = True,
    secure: Annotated[bool, typer.Option("--secure", help="Kafka by TLS and a login (kafka_security).")] = False,
    fix_topics: Annotated[
        bool, typer.Option("--fix-topics", help="Also change the settings of existing topics to ours.")
    ] = False,
    empty: Annotated[
        bool, typer.Option("--empty", help="Start a new lake without the data that comes with the domain.")
    ] = False,
    one_application: Annotated[
        bool, typer.Option("--one-application", help="Run the queries of all these domains in one Spark application.")
    ] = False,
) -> None:
    """Start what the domains declare (broker, streams, producer, …) and the dashboard; Ctrl-C stops all of it."""
    from lakehouse.ops import launch

    if secure:  # as the processes that are started will read it
        os.environ["LAKE_KAFKA_SECURITY"] = "sasl_ssl"
        settings.cache_clear()
    launch.up(domains or [], launch.How(produce, fix_topics, empty, one_application))


def down() -> None:
    """Stop everything that `lake up` started."""
    from lakehouse.ops import status

    names = status.down()
    console().print(f"Stopped: {', '.join(names)}." if names else "Nothing was running.")
