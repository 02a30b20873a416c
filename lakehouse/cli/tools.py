"""`lake psql`, `json-schema`, `fetch-jars`, `make-archive`: programs and files that the platform needs."""

import os
import signal
import sys

import typer

from lakehouse import environment
from lakehouse.cli.options import Domains
from lakehouse.cli.terminal import console


def psql(context: typer.Context) -> None:
    """Open psql on the PostgreSQL in use as `reader`; further arguments are psql's, as in -c 'SELECT 1'."""
    from lakehouse.embedded.postgres_server import program as of_server
    from lakehouse.sinks import postgres, postgres_login

    program = of_server("psql")
    dsn, env = postgres.dsn(postgres.READER), {"PGTZ": "UTC"}
    options = ["-d", dsn]
    if not postgres.embedded():
        options, env = postgres_login.psql(dsn, postgres.READER, context.args)
    os.execve(program, [str(program), *options, *context.args], {**environment.ours(), **env})


def json_schema(domain: str, event: str = "") -> None:
    """Print the JSON Schema of a domain's event, for its senders; EVENT is a class of jobs/<domain>/events.py."""
    from lakehouse.contract import discovery
    from lakehouse.events import json_schema as schemas

    typer.echo(schemas.text(discovery.load(domain), event))


def fetch_jars() -> None:
    """Fetch the missing jars of conf/jars.lock; each is verified against its checksum."""
    from lakehouse.spark import jars, java

    fetched = jars.fetch(java.find())
    console().print(f"{fetched} jars fetched." if fetched else "All jars are there.")


def make_archive(domains: Domains = None) -> None:
    """Write a class-data-sharing archive, so that Spark starts some seconds faster (once per Java and machine)."""
    from lakehouse.ops import class_archive

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the broker and the job are stopped, too
    made = class_archive.make(domains or [])
    console().print(f"{made.name}: {made.stat().st_size / 1e6:,.0f} MB.")
