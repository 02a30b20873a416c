"""`lake`: starts, shows and stops the platform."""

import sys

import typer

from lakehouse import entry, environment
from lakehouse.cli import audit, dead_letters, models, new, nightly, status, tools, up, upkeep
from lakehouse.contract import discovery
from lakehouse.errors import UsageError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Starts, shows and stops the platform.",
)
for command in (
    *(up.up, up.down, status.status, status.topics, status.logs, upkeep.reset, upkeep.rebuild, upkeep.maintain),
    *(tools.json_schema, tools.fetch_jars, tools.make_archive, nightly.nightly, audit.audit, new.new),
):
    app.command(command.__name__.replace("_", "-"))(command)
app.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(tools.psql)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(models.app, name="models")
app.add_typer(nightly.schedule, name="schedule")


@app.callback()
def _begin() -> None:
    environment.clean()


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
