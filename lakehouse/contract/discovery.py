"""Which domains there are, found as packages under jobs/."""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import settings

if TYPE_CHECKING:
    import typer

from lakehouse.contract.domain import Domain


def domains() -> list[str]:
    """Names of all domains: the packages under jobs/."""
    import jobs

    return sorted(module.name for module in pkgutil.iter_modules(jobs.__path__) if module.ispkg)


def used() -> list[str]:
    """Names of the domains that have written to this lake; all domains while none has."""
    roots = (settings().lake, settings().checkpoints)
    found = [name for name in domains() if any((root / name).is_dir() for root in roots)]
    return found or domains()


def load(name: str) -> Domain:
    """The domain of that name. Raises UsageError when there is none."""
    if name not in domains():
        raise UsageError(f"There is no domain {name!r}.", f"Domains: {', '.join(domains())}.")
    domain: Domain = importlib.import_module(f"jobs.{name}.schema").DOMAIN
    return domain


def load_all(names: Sequence[str] = ()) -> list[Domain]:
    """The named domains, or all of them."""
    return [load(name) for name in names or domains()]


def commands(name: str) -> "typer.Typer | None":
    """The domain's commands of `lake`: the `app` in its commands.py, if it has one.

    Imports nothing else of the domain. Raises LakeError when the file has no such `app`.
    """
    import jobs

    packages = [f"{folder}/{name}" for folder in jobs.__path__]
    if "commands" not in {module.name for module in pkgutil.iter_modules(packages)}:
        return None
    module = importlib.import_module(f"jobs.{name}.commands")
    if not callable(getattr(getattr(module, "app", None), "command", None)):
        raise LakeError(f"jobs/{name}/commands.py has no `app`.", "Add one: `app = typer.Typer()`.")
    app: typer.Typer = module.app
    return app
