"""What the platform must know of a domain, declared in its schema.py and found by discovery."""

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError

if TYPE_CHECKING:
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
    the stream (script and arguments), `produce` the arguments of the demo's producer.
    """

    name: str
    title: str
    topics: tuple[Topic, ...]
    tables: tuple["Table", ...]
    queries: tuple[str, ...]
    dead_letters: "Table"
    prepare: tuple[tuple[str, ...], ...] = ()
    produce: tuple[str, ...] = ()


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
