"""What the platform must know of a domain, declared in its schema.py and found by discovery."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import settings

if TYPE_CHECKING:
    import pyarrow as pa
    import typer

    from lakehouse.audits import Audit


# Readers without a JVM cannot read deletion vectors. Log and unused files are kept for a week: `lake maintain`.
HISTORY_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
# A serving table gets several commits a second: keep an hour of its log.
SERVING_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.enableExpiredLogCleanup": "true",
}


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: its name, partitions and settings."""

    name: str
    partitions: int
    about: str
    config: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Table:
    """A Delta table of a domain: its place in the lake, its columns (name to SQL type), its key, what it is cut by.

    `writer` is the one library that writes it; `lake maintain` keeps Spark's tables.
    """

    domain: str
    name: str
    columns: Mapping[str, str]
    keys: tuple[str, ...]
    about: str
    properties: Mapping[str, str]
    partition_by: tuple[str, ...] = ()
    writer: Literal["spark", "deltalake"] = "spark"

    @property
    def path(self) -> Path:
        """The table's folder."""
        return settings().lake / self.domain / self.name

    @property
    def ddl(self) -> str:
        """The columns as Spark writes a schema."""
        return ", ".join(f"`{name}` {kind}" for name, kind in self.columns.items())

    @property
    def arrow_schema(self) -> "pa.Schema":
        """The columns as an Arrow schema."""
        from lakehouse.tables import arrow_schema

        return arrow_schema(self.columns)


@dataclass(frozen=True)
class Stores:
    """The tables that a streaming query writes, and the topic it reads.

    `records` together hold each record of the topic once, by its coordinates (topic, partition, offset). `views` are
    made of the query's state: they are begun anew with it.
    """

    topic: Topic
    records: tuple[Table, ...] = ()
    views: tuple[Table, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        return self.records + self.views


@dataclass(frozen=True)
class Domain:
    """A domain as the launcher sees it.

    `stores` are the streaming queries of `stream.py` in the order shown, with what each writes; `prepare` lists the
    jobs that run once before the stream (script and arguments), `prepare_empty` those that do so in a lake that is to
    begin without the data that comes with the domain, `later` those that run once when everything is up, `produce`
    the arguments of the demo's producer; `postgres` whether its stream writes to PostgreSQL; `check` raises LakeError
    when the domain's own settings cannot be used.
    """

    name: str
    title: str
    topics: tuple[Topic, ...]
    tables: tuple[Table, ...]
    stores: Mapping[str, Stores]
    dead_letters: Table
    prepare: tuple[tuple[str, ...], ...] = ()
    prepare_empty: tuple[tuple[str, ...], ...] = ()
    produce: tuple[str, ...] = ()
    later: tuple[tuple[str, ...], ...] = ()
    postgres: bool = False
    check: Callable[[], None] | None = None

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the streaming queries, in the order shown."""
        return tuple(self.stores)


def domains() -> list[str]:
    """Names of the domains there are: the packages under jobs/ that have a schema."""
    import jobs

    return sorted(module.name for module in pkgutil.iter_modules(jobs.__path__) if module.ispkg)


def used() -> list[str]:
    """Names of the domains that have written into this lake; all of them while none has."""
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
