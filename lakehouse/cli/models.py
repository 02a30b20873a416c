"""`lake models`: the versions of a model, which one is live and why, and the rollback."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from lakehouse.cli.options import AsJson
from lakehouse.cli.terminal import console, grid, print_json
from lakehouse.contract.discovery import domains
from lakehouse.errors import DataError, UnavailableError, UsageError
from lakehouse.models import comparison, versions
from lakehouse.models.manifests import Manifest, best_version
from lakehouse.models.registry import Registry

app = typer.Typer(no_args_is_help=True, help="Versions of a model: list, show, compare, roll back.")

Domain = Annotated[str | None, typer.Option("--domain", help="The domain, when more than one has models.")]
Version = Annotated[str, typer.Argument(help="A version, for example v0001.")]


def _registry(domain: str | None) -> Registry:
    """The registry of the named domain, else of the only one that has models."""
    with_models = versions.domains()
    if domain is not None and domain not in {*with_models, *domains()}:
        raise UsageError(f"There is no domain {domain!r}.", f"Domains: {', '.join(domains())}.")
    if domain is None and len(with_models) > 1:
        raise UsageError(f"Several domains have models: {', '.join(with_models)}.", "Name one: --domain NAME.")
    if not with_models or (domain is not None and domain not in with_models):
        train = f"./spark-submit.sh jobs/{domain or '<domain>'}/train.py"
        raise UnavailableError(f"There is no model{f' of {domain}' if domain else ''} yet.", f"Train one: `{train}`.")
    return Registry(domain or with_models[0])


def _row(manifest: Manifest, live: str | None, best_ever: str | None) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "outcome": manifest.outcome,
        "live": manifest.version == live,
        "best": manifest.version == best_ever,
        "mape": manifest.metrics.get("mape"),
        "r2": manifest.metrics.get("r2"),
        "rows": manifest.rows.get("distinct", manifest.rows.get("training")),
        "cut_off": manifest.cut_off,
        "trained_at": manifest.trained_at or manifest.created_at or None,
        "reason": manifest.reason or None,
    }


@app.command("list")
def list_versions(domain: Domain = None, as_json: AsJson = False) -> None:
    """Show all versions, newest first: published or refused, live, best ever, errors, rows, and why."""
    registry = _registry(domain)
    manifests = registry.versions()
    live, best_ever = registry.live(), best_version(manifests)
    rows = [_row(manifest, live, best_ever) for manifest in reversed(manifests)]
    if as_json:
        print_json(rows)
        return
    text = comparison.text
    shown = [
        (
            row["version"],
            row["outcome"],
            " ".join(mark for mark in ("live", "best") if row[mark]),
            *(text(name, row[name]) for name in ("mape", "r2", "rows")),
            text("cut_off", row["cut_off"])[:10],
            text("trained_at", row["trained_at"])[:16].replace("T", " "),
        )
        for row in rows
    ]
    table = grid("version", "outcome", "", "MAPE", "R2", "rows", "sales to", "trained at (UTC)", rows=shown)
    table.collapse_padding = True  # 80 columns hold it
    console().print(table, "")
    console().print(grid("version", "reason", rows=[(row["version"], row["reason"] or "-") for row in rows]))
    if live is None:
        console().print("None is live.")


@app.command()
def show(version: Version, domain: Domain = None, as_json: AsJson = False) -> None:
    """Show a version: metrics, rows, features, files, and when it went live."""
    registry = _registry(domain)
    manifest = registry.manifest(version)
    switches = [asdict(switch) for switch in registry.switches() if switch.version == version]
    damage = _damage(registry, version)
    if as_json:
        is_live = version == registry.live()
        print_json({**manifest.to_dict(), "is_live": is_live, "damage": damage, "switches": switches})
        return
    facts = comparison.flat(manifest.to_dict())
    console().print(grid("", version, rows=[(name, comparison.text(name, value)) for name, value in facts.items()]))
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
    as_json: AsJson = False,
) -> None:
    """Show two versions side by side, and by how much the second differs from the first."""
    registry = _registry(domain)
    lines = comparison.compare(registry.manifest(first), registry.manifest(second))
    if as_json:
        both = {version: {line.name: line.values[at] for line in lines} for at, version in enumerate((first, second))}
        differences = {line.name: line.difference for line in lines if line.values[0] != line.values[1]}
        print_json({"versions": both, "differences": differences})
        return
    rows = [(line.name, *(comparison.text(line.name, value) for value in line.values), line.shown) for line in lines]
    console().print(grid("", first, second, "difference", rows=rows))


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="The reason; stored with the switch.")],
    to: Annotated[str | None, typer.Option(help="The version; default: the one that was live before.")] = None,
    domain: Domain = None,
) -> None:
    """Let an earlier version go live. Running services load it within seconds."""
    registry = _registry(domain)
    try:
        before = registry.live()
    except DataError:
        before = None
    version = registry.rollback(reason, to)
    console().print(f"{version} of {registry.domain} is live{f', {before} was' if before else ''}.")
