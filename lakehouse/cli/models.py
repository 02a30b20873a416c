"""`lake models`: the versions of a model, which one is live and why, and the rollback."""

import functools
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from lakehouse.cli.options import AsJson
from lakehouse.cli.terminal import console, grid, print_json
from lakehouse.contract.discovery import load_all
from lakehouse.contract.models import Model
from lakehouse.errors import DataError, UnavailableError, UsageError
from lakehouse.models import comparison
from lakehouse.models.manifests import Manifest, best_version
from lakehouse.models.registry import Registry

app = typer.Typer(no_args_is_help=True, help="Versions of a model: list, show, compare, roll back.")

Domain = Annotated[str | None, typer.Option("--domain", help="The domain, when more than one has models.")]
Name = Annotated[str | None, typer.Option("--model", help="The model, when the domain has more than one.")]
Version = Annotated[str, typer.Argument(help="A version, for example v0001.")]


def _registry(domain: str | None, name: str | None) -> Registry:
    """The registry of the named model, else of the only one that has versions."""
    declared = [model for each in load_all([domain] if domain else []) for model in each.models]
    named = [model for model in declared if name in (None, model.name)]
    if declared and not named:
        known = ", ".join(model.full_name for model in declared)
        raise UsageError(f"There is no model {name!r}{f' of {domain}' if domain else ''}.", f"Models: {known}.")
    found = [registry for registry in map(Registry, named) if registry.names() or registry.file.exists()]
    if len(found) > 1:
        raise UsageError(*_several(found))
    if not found:
        train = named[0].train if len(named) == 1 else f"jobs/{domain or '<domain>'}/train.py"
        of = f" of {domain}" if domain else ""
        raise UnavailableError(f"There is no model{of} yet.", f"Train one: `./spark-submit.sh {train}`.")
    return found[0]


def _several(found: Sequence[Registry]) -> tuple[str, str]:
    """What is not clear when more than one model may be meant, and how to say it."""
    domains = sorted({registry.model.domain for registry in found})
    if len(domains) > 1:
        return f"Several domains have models: {', '.join(domains)}.", "Name one: --domain NAME."
    names = ", ".join(registry.model.name for registry in found)
    return f"{domains[0]} has several models: {names}.", "Name one: --model NAME."


def _row(manifest: Manifest, model: Model, live: str | None, best_ever: str | None) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "outcome": manifest.outcome,
        "live": manifest.version == live,
        "best": manifest.version == best_ever,
        **{metric.name: manifest.metrics.get(metric.name) for metric in model.shown},
        "rows": manifest.rows.get("distinct", manifest.rows.get("training")),
        "cut_off": manifest.cut_off,
        "trained_at": manifest.trained_at or manifest.created_at or None,
        "reason": manifest.reason or None,
    }


@app.command("list")
def list_versions(domain: Domain = None, model: Name = None, as_json: AsJson = False) -> None:
    """Show all versions, newest first: published or refused, live, best ever, errors, rows, and why."""
    registry = _registry(domain, model)
    manifests = registry.versions()
    of, live, best_ever = registry.model, registry.live(), best_version(manifests, registry.model)
    rows = [_row(manifest, of, live, best_ever) for manifest in reversed(manifests)]
    if as_json:
        print_json(rows)
        return
    columns = [metric.name for metric in of.shown[:2]]
    text = functools.partial(comparison.text, forms=of.forms)
    shown = [
        (
            row["version"],
            row["outcome"],
            " ".join(mark for mark in ("live", "best") if row[mark]),
            *(text(name, row[name]) for name in (*columns, "rows")),
            text("cut_off", row["cut_off"])[:10],
            text("trained_at", row["trained_at"])[:16].replace("T", " "),
        )
        for row in rows
    ]
    heads = [name.upper() for name in columns]
    table = grid("version", "outcome", "", *heads, "rows", f"{of.rows} to", "trained at (UTC)", rows=shown)
    table.collapse_padding = True  # 80 columns hold it
    console().print(table, "")
    console().print(grid("version", "reason", rows=[(row["version"], row["reason"] or "-") for row in rows]))
    if live is None:
        console().print("None is live.")


@app.command()
def show(version: Version, domain: Domain = None, model: Name = None, as_json: AsJson = False) -> None:
    """Show a version: metrics, rows, features, files, and when it went live."""
    registry = _registry(domain, model)
    manifest = registry.manifest(version)
    switches = [asdict(switch) for switch in registry.switches() if switch.version == version]
    damage = _damage(registry, version)
    if as_json:
        is_live = version == registry.live()
        print_json({**manifest.to_dict(), "is_live": is_live, "damage": damage, "switches": switches})
        return
    facts = comparison.flat(manifest.to_dict())
    forms = {**registry.model.forms, **manifest.forms}
    lines = [(name, comparison.text(name, value, forms)) for name, value in facts.items()]
    console().print(grid("", version, rows=lines))
    intact = f"All {len(manifest.checksums)} files match their checksums."
    console().print(f"\n{damage or intact}")
    if not switches:
        console().print("It never went live.")
        return
    console().print("\nWent live:")
    rows = [(f"{switch['at']:%Y-%m-%d %H:%M:%S}", switch["by"], switch["reason"]) for switch in switches]
    console().print(grid("at (UTC)", "by", "reason", rows=rows))
    console().print("It is live." if version == registry.live() else f"{registry.live()} is live now.")


def _damage(registry: Registry, version: str) -> str | None:
    try:
        registry.verify(version)
    except DataError as error:
        return str(error)
    return None


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A version.")],
    second: Annotated[str, typer.Argument(help="The version to compare with it.")],
    domain: Domain = None,
    model: Name = None,
    as_json: AsJson = False,
) -> None:
    """Show two versions side by side, and by how much the second differs from the first."""
    registry = _registry(domain, model)
    forms = registry.model.forms
    lines = comparison.compare(registry.manifest(first), registry.manifest(second), forms)
    if as_json:
        both = {version: {line.name: line.values[at] for line in lines} for at, version in enumerate((first, second))}
        differences = {line.name: line.difference for line in lines if line.values[0] != line.values[1]}
        print_json({"versions": both, "differences": differences})
        return
    text = functools.partial(comparison.text, forms=forms)
    rows = [(line.name, *(text(line.name, value) for value in line.values), line.shown) for line in lines]
    console().print(grid("", first, second, "difference", rows=rows))


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="The reason; stored with the switch.")],
    to: Annotated[str | None, typer.Option(help="The version; default: the one that was live before.")] = None,
    domain: Domain = None,
    model: Name = None,
) -> None:
    """Let an earlier version go live. Running services load it within seconds."""
    registry = _registry(domain, model)
    try:
        before = registry.live()
    except DataError:
        before = None
    version = registry.rollback(reason, to)
    console().print(f"{version} of {registry.model.full_name} is live{f', {before} was' if before else ''}.")
