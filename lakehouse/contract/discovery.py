"""Which domains there are, found as packages under jobs/."""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import ROOT, settings

if TYPE_CHECKING:
    import typer

from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import SHARED_STREAM, Job


def domains() -> list[str]:
    """Names of all domains: the packages under jobs/."""
    import jobs

    return sorted(module.name for module in pkgutil.iter_modules(jobs.__path__) if module.ispkg)


def used() -> list[str]:
    """Names of the domains that have written to this lake; while none has, those that `lake up` starts."""
    roots = (settings().lake, settings().checkpoints)
    found = [name for name in domains() if any((root / name).is_dir() for root in roots)]
    return found or configured()


def configured() -> list[str]:
    """Names of the domains that `lake up` starts: the setting `domains`, all where it names none."""
    return [load(name).name for name in settings().domains] or domains()


def load(name: str) -> Domain:
    """The domain of that name. Raises UsageError when there is none."""
    if name not in domains():
        raise UsageError(f"There is no domain {name!r}.", f"Domains: {', '.join(domains())}.")
    domain: Domain = importlib.import_module(f"jobs.{name}.schema").DOMAIN
    return domain


def load_all(names: Sequence[str] = ()) -> list[Domain]:
    """The named domains, or all of them."""
    return [load(name) for name in names or domains()]


def with_short_run(names: Sequence[str] = ()) -> Domain | None:
    """A domain that declares a short run, one of the named ones if it can be; None when no domain does.

    A stream with a master of its own has no end, so a domain that has no other has no short run.
    """
    able = (domain for domain in load_all([*names, *domains()]) if domain.short_run and domain.shared_streams)
    return next(able, None)


def runs_for_days(script: Path) -> bool:
    """Whether the script is a long-running process: one that its domain declares, or the domains' shared stream."""
    if not (ROOT / script).is_relative_to(ROOT):
        return False
    path = (ROOT / script).relative_to(ROOT)
    if ".".join(path.with_suffix("").parts) == SHARED_STREAM:
        return True
    name = path.parts[1] if path.parts[0] == "jobs" else ""
    if name not in domains():
        return False
    domain = load(name)
    return str(path) in {domain.path(process.job) for process in domain.processes}


def job_module(domain: Domain, job: Job) -> ModuleType:
    """The job's module, for what it offers beside its command line."""
    return importlib.import_module(".".join(Path(domain.path(job)).with_suffix("").parts))


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
