"""What the platform must know of a domain, declared in its schema.py and found by discovery."""

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.errors import LakeError, UsageError

if TYPE_CHECKING:
    import typer

    from lakehouse.audits import Audit
    from lakehouse.tables import Table


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: its name, partitions and settings."""

    name: str
    partitions: int
    about: str
    config: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Domain:
    """A domain as the launcher sees it.

    `queries` are the streaming queries of `stream.py` in the order shown; `prepare` lists the jobs that run once before
    the stream (script and arguments), `later` those that run once when everything is up, `produce` the arguments of
    the demo's producer.
    """

    name: str
    title: str
    topics: tuple[Topic, ...]
    tables: tuple["Table", ...]
    queries: tuple[str, ...]
    dead_letters: "Table"
    prepare: tuple[tuple[str, ...], ...] = ()
    produce: tuple[str, ...] = ()
    later: tuple[tuple[str, ...], ...] = ()


def domains() -> list[str]:
    """Names of the domains there are: the packages under jobs/ that have a schema."""
    import jobs

    return sorted(module.name for module in pkgutil.iter_modules(jobs.__path__) if module.ispkg)


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
    """The commands that the domain brings for `lake`: the `app` of its commands.py, if it has one.

    Imports nothing else of the domain. Raises LakeError when the file has no such `app`.
    """
    import jobs

    packages = [f"{folder}/{name}" for folder in jobs.__path__]
    if "commands" not in {module.name for module in pkgutil.iter_modules(packages)}:
        return None
    module = importlib.import_module(f"jobs.{name}.commands")
    if not callable(getattr(getattr(module, "app", None), "command", None)):
        raise LakeError(f"jobs/{name}/commands.py has no `app`.", "Give it one: `app = typer.Typer()`.")
    app: typer.Typer = module.app
    return app


def audit(name: str) -> "Audit":
    """What the domain declares in its audit.py. Raises LakeError when it brings none."""
    load(name)
    if name not in audited():
        raise LakeError(f"Domain {name} cannot be audited: there is no jobs/{name}/audit.py.", "See jobs/houses.")
    declared: Audit = importlib.import_module(f"jobs.{name}.audit").AUDIT
    return declared


def audited() -> list[str]:
    """Names of the domains that bring an audit.py."""
    import jobs

    return [
        name
        for name in domains()
        if "audit" in {module.name for module in pkgutil.iter_modules([f"{folder}/{name}" for folder in jobs.__path__])}
    ]
