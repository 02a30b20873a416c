"""`lake reset` deletes files, `lake rebuild` repairs a query, `lake maintain` compacts tables."""

import shutil
import subprocess
from typing import Annotated

import typer

from lakehouse.cli.options import Domains
from lakehouse.cli.terminal import console
from lakehouse.contract.discovery import load, load_all
from lakehouse.errors import LakeError, RefusedError
from lakehouse.settings import ROOT, settings

PARTS = ("lake", "checkpoints", "data", "models", "asking")  # folders of var that have one of each domain


def reset(
    domain: Annotated[str | None, typer.Argument(help="Only this domain; everything when none is named.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete what was written at run time: a domain's tables, checkpoints and data (its topic stays), or all of var."""
    from lakehouse.ops import servers
    from lakehouse.ops.reset import quiet
    from lakehouse.ops.status import running_processes

    if running_processes():
        raise RefusedError("The lake is running; its files cannot be deleted under it.", "Stop it first: `lake down`.")
    var = settings().var
    folders = [var / part / load(domain).name for part in PARTS] if domain else [var]
    existing = [folder for folder in folders if folder.exists()]
    if not existing:
        console().print("There is nothing to delete.")
        return
    domains = load_all([domain] if domain else [])
    with quiet(domains):
        if not yes and not typer.confirm(f"Delete {', '.join(str(folder) for folder in existing)}?"):
            raise LakeError("Nothing was deleted.")
        for each in domains:  # before their files: a server may not answer
            servers.delete_data(each, with_var=domain is None)
        for folder in existing:
            shutil.rmtree(folder)
    console().print("Deleted.")


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


def maintain(domains: Domains = None) -> None:
    """Compact the history's small files and delete files unused for 7 days; streams may run."""
    job = [str(ROOT / "spark-submit.sh"), "-m", "lakehouse.tables.maintain"]
    done = subprocess.run([*job, *(domains or [])], check=False)
    raise typer.Exit(done.returncode)
