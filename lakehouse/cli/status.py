"""`lake status`, `lake topics`, `lake logs`: what runs, what is on the topics, what the processes wrote."""

import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import AsJson, Domains
from lakehouse.cli.terminal import console, grid, print_json
from lakehouse.contract.discovery import load_all
from lakehouse.contract.domain import Domain
from lakehouse.errors import UsageError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from lakehouse.ops.status import ProcessView


def status(as_json: AsJson = False) -> None:
    """Show processes with their memory, and addresses. Exit code 3 when nothing runs."""
    from lakehouse.ops.status import read_status

    lake = read_status()
    if as_json:
        print_json(lake.to_dict())
    elif not lake.running:
        console().print("The lake is not running. Start it: `lake up`.")
    else:
        console().print(_processes(lake.processes))
        for query in lake.queries:
            if query.error:
                console().print(f"{query.name} ({query.state}): {query.error}", style="yellow", soft_wrap=True)
        console().print(f"domains: {', '.join(lake.domains)}")
        for name in ("dashboard_url", "bootstrap_servers", "lake_root"):
            console().print(f"{name.replace('_', ' ')}: {getattr(lake, name)}")
        for domain, url in lake.spark_ui_urls.items():
            console().print(f"Spark UI of {domain}: {url}")
    if not lake.running:
        raise typer.Exit(3)


def _processes(processes: "Sequence[ProcessView]") -> "Grid":
    shown = grid("process", "pid", "state", "memory", "restarts", "last error")
    for process in processes:
        memory = f"{process.memory_mb:,} MB" if process.memory_mb else "-"
        cells = [process.name, process.pid, process.state, memory, process.restarts, process.last_error]
        shown.add_row(*[str(cell) for cell in cells])
    shown.add_row("total", "", "", f"{sum(process.memory_mb or 0 for process in processes):,} MB", "", "", style="bold")
    return shown


def topics(domains: Domains = None, as_json: AsJson = False) -> None:
    """Show partitions, end offsets, and the lag of each query: end offset less the last committed batch's.

    Of a topic with many partitions, the ten that are the furthest behind.
    """
    from lakehouse.ops.status import shown_rows, topic_rows

    rows = topic_rows(load_all(domains or []))
    if as_json:
        print_json(rows)
        return
    queries = sorted({query for row in rows for query in row["lag"]})
    lags = [f"lag {query}" for query in queries]
    shown = grid("topic", "partition", "start", "end", *lags)
    for row in shown_rows(rows):
        behind = ["-" if row["lag"].get(query) is None else f"{row['lag'][query]:,}" for query in queries]
        shown.add_row(row["topic"], str(row["partition"]), f"{row['start']:,}", f"{row['end']:,}", *behind)
    console().print(shown)
    _print_settings(load_all(domains or []))


def _print_settings(domains: Sequence[Domain]) -> None:
    from lakehouse.kafka import topic_settings

    for domain in domains:
        for sentence in topic_settings.settle(settings().brokers(), domain.topics):
            console().print(sentence)


def logs(
    name: Annotated[
        str | None, typer.Argument(help="A process as `lake status` names it; all when none is named.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Lines of each log.")] = 20,
) -> None:
    """Show the logs of the processes."""
    files = [file for file in sorted(settings().log.glob("*.log")) if name in (None, file.stem)]
    if not files:
        known = ", ".join(file.stem for file in sorted(settings().log.glob("*.log"))) or "none yet"
        raise UsageError(f"There is no log of {name or 'any process'}.", f"Logs: {known}.")
    subprocess.run(["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)], check=False)
