"""`lake`: starts, shows and stops the platform."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse import entry, environment
from lakehouse.cli import audit, dead_letters, models, schedule
from lakehouse.cli.terminal import console, grid, print_json
from lakehouse.contract import discovery
from lakehouse.contract.discovery import load, load_all
from lakehouse.contract.domain import Domain
from lakehouse.errors import LakeError, RefusedError, UsageError
from lakehouse.settings import ROOT, settings

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from lakehouse.ops.status import ProcessView

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Starts, shows and stops the platform.",
)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(models.app, name="models")
app.add_typer(schedule.app, name="schedule")


@app.callback()
def _begin() -> None:
    environment.clean()


Domains = Annotated[list[str] | None, typer.Argument(help="Domains; all of them when none is named.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def main() -> None:
    """The entry point of the `lake` command: the platform's own commands and those that domains bring."""
    add_domain_commands()
    entry.run_app(app, logs=False)


def add_domain_commands() -> None:
    """Add the domains' own commands (commands.py); if those of one are broken, the others still work."""
    for name in discovery.domains():
        try:
            brought = discovery.commands(name)
            if brought and (taken := _names(brought) & _names(app)):
                raise UsageError(f"There is a command `{min(taken)}` already.")
        except Exception as error:
            sys.stderr.write(f"Warning: the commands of domain {name} cannot be used: {entry.explain(error)[1]}\n")
            continue
        if brought:
            app.add_typer(brought)


def _names(of: typer.Typer) -> set[str]:
    """Names of the commands and groups, also of those added from other domains."""
    own = {command.name or command.callback.__name__ for command in of.registered_commands if command.callback}
    groups = {group.name for group in of.registered_groups if group.name}
    merged = [_names(group.typer_instance) for group in of.registered_groups if not group.name and group.typer_instance]
    return own.union(groups, *merged)


@app.command()
def up(
    domains: Domains = None,
    produce: Annotated[bool, typer.Option(help="Also run the demo's producer.")] = True,
    secure: Annotated[bool, typer.Option("--secure", help="Kafka by TLS and a login (kafka_security).")] = False,
    fix_topics: Annotated[
        bool, typer.Option("--fix-topics", help="Also change the settings of existing topics to ours.")
    ] = False,
    empty: Annotated[
        bool, typer.Option("--empty", help="Start a new lake without the data that comes with the domain.")
    ] = False,
) -> None:
    """Start broker, streams, producer and dashboard; Ctrl-C stops all of it."""
    from lakehouse.ops import launch

    if secure:  # as the processes that are started will read it
        os.environ["LAKE_KAFKA_SECURITY"] = "sasl_ssl"
        settings.cache_clear()
    launch.up(domains or [], launch.How(produce, fix_topics, empty))


@app.command()
def down() -> None:
    """Stop everything that `lake up` started."""
    from lakehouse.ops import status

    names = status.down()
    console().print(f"Stopped: {', '.join(names)}." if names else "Nothing was running.")


@app.command()
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


@app.command()
def topics(domains: Domains = None, as_json: AsJson = False) -> None:
    """Show partitions, end offsets, and the lag of each query: end offset less the last committed batch's."""
    from lakehouse.ops.status import topic_rows

    rows = topic_rows(load_all(domains or []))
    if as_json:
        print_json(rows)
        return
    queries = sorted({query for row in rows for query in row["lag"]})
    lags = [f"lag {query}" for query in queries]
    shown = grid("topic", "partition", "start", "end", *lags)
    for row in rows:
        behind = ["-" if row["lag"].get(query) is None else f"{row['lag'][query]:,}" for query in queries]
        shown.add_row(row["topic"], str(row["partition"]), f"{row['start']:,}", f"{row['end']:,}", *behind)
    console().print(shown)
    _print_settings(load_all(domains or []))


def _print_settings(domains: Sequence[Domain]) -> None:
    from lakehouse.kafka import topic_settings

    for domain in domains:
        for sentence in topic_settings.settle(settings().brokers(), domain.topics):
            console().print(sentence)


@app.command()
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


@app.command()
def reset(
    domain: Annotated[str | None, typer.Argument(help="Only this domain; everything when none is named.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete what was written at run time: a domain's tables, checkpoints and data (its topic stays), or all of var."""
    from lakehouse.ops.reset import quiet
    from lakehouse.ops.status import running_processes

    if running_processes():
        raise RefusedError("The lake is running; its files cannot be deleted under it.", "Stop it first: `lake down`.")
    var = settings().var
    folders = (
        [var / part / load(domain).name for part in ("lake", "checkpoints", "data", "models")] if domain else [var]
    )
    existing = [folder for folder in folders if folder.exists()]
    if not existing:
        console().print("There is nothing to delete.")
        return
    domains = load_all([domain] if domain else [])
    with quiet(domains):
        if not yes and not typer.confirm(f"Delete {', '.join(str(folder) for folder in existing)}?"):
            raise LakeError("Nothing was deleted.")
        _forget(domains, everything=domain is None)
        for folder in existing:
            shutil.rmtree(folder)
    console().print("Deleted.")


def _forget(domains: Sequence[Domain], everything: bool) -> None:
    """Delete what the domains have in PostgreSQL, before their files: it may not answer."""
    from lakehouse.embedded.postgres_server import delete_schema
    from lakehouse.sinks import postgres

    for domain in domains:
        if domain.postgres and not (everything and postgres.embedded()):  # that one goes with var
            delete_schema(domain.name)


@app.command()
def rebuild(
    query: Annotated[str, typer.Argument(help="A streaming query, for example houses.averages.")],
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Note the records that the topic has lost, and continue without them.")
    ] = False,
) -> None:
    """Restart a query that refuses to start from a new checkpoint; stored events are kept."""
    from lakehouse.ops.rebuild import rebuild as rebuild_query

    for line in rebuild_query(query, accept_loss):
        console().print(line)


@app.command()
def maintain(domains: Domains = None) -> None:
    """Compact the history's small files and delete files unused for 7 days; streams may run."""
    job = [str(ROOT / "spark-submit.sh"), "-m", "lakehouse.tables.maintain"]
    done = subprocess.run([*job, *(domains or [])], check=False)
    raise typer.Exit(done.returncode)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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


@app.command("fetch-jars")
def fetch_jars() -> None:
    """Fetch the missing jars of conf/jars.lock; each is verified against its checksum."""
    from lakehouse.spark import jars, java

    fetched = jars.fetch(java.find())
    console().print(f"{fetched} jars fetched." if fetched else "All jars are there.")


@app.command("make-archive")
def make_archive() -> None:
    """Write a class-data-sharing archive, so that Spark starts some seconds faster (once per Java and machine)."""
    from lakehouse.ops import class_archive

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the broker and the job are stopped, too
    made = class_archive.make(load_all()[0])
    console().print(f"{made.name}: {made.stat().st_size / 1e6:,.0f} MB.")


app.command("nightly")(schedule.nightly)
app.command("audit")(audit.audit)
