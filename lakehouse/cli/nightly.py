"""`lake nightly`, the nightly run, and `lake schedule`, which puts it into the crontab."""

import signal
import sys
from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from lakehouse.errors import UsageError
from lakehouse.ops import crontab
from lakehouse.ops import nightly as nightly_run

schedule = typer.Typer(no_args_is_help=True, help="The nightly run in your crontab: print, install, remove.")


@schedule.command("print")
def show() -> None:
    """Print the crontab lines with the paths of this checkout."""
    sys.stdout.write(crontab.block())


@schedule.command()
def install(remove: Annotated[bool, typer.Option("--remove", help="Take the lines out again.")] = False) -> None:
    """Put the lines into your crontab and remove earlier ones; all other lines stay."""
    if not crontab.install(remove):
        typer.echo("The crontab has no lines of this checkout." if remove else "The crontab has these lines already.")
    else:
        typer.echo("Removed from your crontab." if remove else "In your crontab: every night at 02:15 UTC.")


def nightly(
    domain: Annotated[str | None, typer.Argument(help="Only this domain; all of them when none.")] = None,
    at: Annotated[
        str, typer.Option(help='Keep running, and do it every day at this time, as in "02:15 UTC", instead of now.')
    ] = "",
) -> None:
    """Recompute, train, audit, tidy the tables. Silent when all went well, else one line and a non-zero exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the job that runs is ended, too
    steps = nightly_run.steps([domain] if domain else [])
    if at:
        nightly_run.every_day(_clock(at), steps)
    nightly_run.nightly(steps)


def _clock(text: str) -> time:
    """A time of day in UTC, or with an offset. Time zones by name are refused: their clocks change."""
    try:
        plain = text.removesuffix("UTC").strip()
        at = time.fromisoformat(plain)
        if at.tzinfo and plain != text:
            raise ValueError
    except ValueError:
        raise UsageError(f"--at takes a time of day in UTC; got {text!r}.", 'For example --at "02:15 UTC".') from None
    return datetime.combine(date(2000, 1, 2), at, at.tzinfo or UTC).astimezone(UTC).time()
