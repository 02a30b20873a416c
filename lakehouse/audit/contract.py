"""What a domain declares in its audit.py, and which domains do."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lakehouse.contract.discovery import domains, load
from lakehouse.contract.tables import Table
from lakehouse.errors import LakeError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.audit.pinned import TableVersion
    from lakehouse.audit.results import ViewResult
    from lakehouse.kafka.offset_ranges import Offsets, TopicPartition
    from lakehouse.kafka.reader import Record


class Decoded(NamedTuple):
    """What a domain's own decoder makes of records of one partition of a topic: the rows that the history must have, in
    the order of their offsets, and the reason for each offset that has no row."""

    rows: "pa.Table"
    refused: dict[int, str]


@dataclass(frozen=True)
class Windows:
    """Averages per window that are recomputed.

    `facts` gives event_at (int64 microseconds, null for none), `group` (a whole number or a text) and `amount` (int64)
    of history rows, from its `columns`; `values` gives a row's columns from a count and a sum.
    """

    speed: "Table"
    batch_log: "Table"
    batch: "Table"
    query: str
    window: str
    group: str
    event_id: str
    columns: tuple[str, ...]
    facts: Callable[["pa.Table"], "pa.Table"]
    values: Callable[[int, int], Mapping[str, Any]]


class ViewCheck(Protocol):
    """A check of tables that are recomputed from the events. It pins its tables when it is made.

    `add` takes valid events, `columns` of the history, slice by slice; `check` compares the tables with them. Below
    `former_until` its query has read by the rules of an earlier version.
    """

    columns: tuple[str, ...]
    former_until: "Offsets"

    def add(self, where: "TopicPartition", rows: "pa.Table") -> None: ...

    def check(self, history: "TableVersion") -> "list[ViewResult]": ...


@dataclass(frozen=True)
class Audit:
    """What a domain declares in its audit.py as AUDIT. `query` fills history and dead letters from its topics.

    `windows` are its averages; `others` make whatever else is recomputed from the events.
    """

    query: str
    history: "Table"
    dead_letters: "Table"
    decode: Callable[["TopicPartition", Sequence["Record"]], Decoded]
    windows: tuple[Windows, ...] = ()
    others: tuple[Callable[[], "ViewCheck"], ...] = ()


def audit(name: str) -> "Audit":
    """What the domain declares in its audit.py. Raises LakeError when it has none."""
    load(name)
    if name not in audited():
        raise LakeError(f"Domain {name} cannot be audited: there is no jobs/{name}/audit.py.", "See jobs/houses.")
    declared: Audit = importlib.import_module(f"jobs.{name}.audit").AUDIT
    return declared


def audited() -> list[str]:
    """Names of the domains that have an audit.py."""
    import jobs

    return [
        name
        for name in domains()
        if "audit" in {module.name for module in pkgutil.iter_modules([f"{folder}/{name}" for folder in jobs.__path__])}
    ]
