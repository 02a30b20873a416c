"""The result of an audit, how it is stored, and what it says in sentences."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from lakehouse.core import files, records, run_state
from lakehouse.errors import RefusedError
from lakehouse.kafka.offset_ranges import OffsetArray
from lakehouse.settings import settings

FORMAT = 2
SHOWN = 20  # offsets or keys named per finding; the rest is counted


@dataclass
class Finding:
    """Something that is off: in how many places, the first of them, and what is wrong at the first."""

    what: str
    count: int = 0
    places: list[int | str] = field(default_factory=list)
    detail: str = ""


class Findings:
    """What is off in one place, gathered over many slices."""

    def __init__(self) -> None:
        self._by_name: dict[str, Finding] = {}

    def add(self, what: str, places: "Sequence[Any] | OffsetArray", detail: str = "") -> None:
        """Count places under a name; no places are no finding."""
        if not len(places):
            return
        shown = [_plain(place) for place in places[:SHOWN]]
        self.extend([Finding(what, len(places), shown, detail)])

    def extend(self, findings: Iterable[Finding]) -> None:
        """Count findings of another part as well."""
        for other in findings:
            finding = self._by_name.setdefault(other.what, Finding(other.what, detail=other.detail))
            finding.count += other.count
            finding.places += other.places[: SHOWN - len(finding.places)]

    def to_list(self) -> list[Finding]:
        """The findings in the order in which they came."""
        return list(self._by_name.values())


def _plain(place: Any) -> int | str:
    return place if isinstance(place, str) else int(place)


@dataclass(frozen=True)
class AuditedRange:
    """Offsets that an audit has read, when, and whether all was well; `gaps` are those of them without a record."""

    start: Annotated[int, Field(alias="from")]
    end: Annotated[int, Field(alias="to")]
    at: str = ""
    clean: bool = True
    gaps: list[list[int]] | None = None


@dataclass(frozen=True)
class PartitionResult:
    """The result for a partition. Retention has removed the offsets below `start`.

    `rests_on` are earlier audits that have read those, `covered` what later audits may rest on.
    Of what an earlier version read by other rules, `now_events` are dead letters that would be events now,
    `no_longer_events` rows of the history that would be dead letters, `other_ids` rows with an id as 71.0 for 71.
    """

    partition: int
    start: Annotated[int, Field(alias="from")] = 0
    end: Annotated[int, Field(alias="to")] = 0
    read_to: int = 0
    records: int = 0
    history: int = 0
    dead_letters: int = 0
    waiting: int = 0
    without_record: int = 0
    rests_on: list[AuditedRange] = field(default_factory=list)
    not_covered: list[list[int]] = field(default_factory=list)
    covered: list[AuditedRange] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    topic: str = ""
    now_events: int = 0
    no_longer_events: int = 0
    other_ids: int = 0


@dataclass(frozen=True)
class ViewResult:
    """The result for a table that is recomputed from the events; the numbers are None where a table has none."""

    table: str
    rows: int
    late: int | None = None
    waiting: int | None = None
    history_version: int | None = None
    note: str = ""
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class AuditResult:
    """What one audit of one domain has found.

    `topic` and `topic_id` are those of the one topic, as every format has had them; of several they name all.
    """

    domain: str
    at: str
    clean: bool
    seconds: float
    records: int = 0
    topic: str = ""
    topic_id: str = ""
    partitions: list[PartitionResult] = field(default_factory=list)
    views: list[ViewResult] = field(default_factory=list)
    topic_ids: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The result as `lake audit --json` prints it."""
        return records.to_dict(self)


def folder(domain: str) -> Path:
    """Where the results of the domain's audits are; they go with the domain's tables."""
    return settings().lake / domain / "_audits"


def store(domain: str, at: datetime, result: AuditResult) -> Path:
    """Keep an audit's result for good."""
    path = folder(domain) / f"{at:%Y%m%dT%H%M%S%f}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace_json(path, {"format": FORMAT, **result.to_dict()})
    return path


def last(domain: str) -> AuditResult | None:
    """The newest result that can be read. Raises RefusedError when a newer version wrote it."""
    for path in sorted(folder(domain).glob("*.json"), reverse=True):
        if values := run_state.read_json(path):
            number = records.check_format(values, FORMAT, f"The audit result {path}")
            try:
                result = records.from_dict(AuditResult, values)
                return result if number == FORMAT else _of_one_topic(result)
            except ValueError:  # not a result
                continue
    return None


def _of_one_topic(result: AuditResult) -> AuditResult:
    """A result of a format before, whose partitions are those of its one topic."""
    partitions = [replace(part, topic=result.topic) for part in result.partitions]
    ids = {result.topic: result.topic_id} if result.topic else {}
    return replace(result, partitions=partitions, topic_ids=ids)


def last_of(domains: Iterable[str]) -> dict[str, AuditResult]:
    """The newest result of each domain that has one, for a page: what a newer version wrote is left out."""
    newest = {}
    for domain in domains:
        with suppress(RefusedError):
            if result := last(domain):
                newest[domain] = result
    return newest


def summary(result: AuditResult) -> Iterator[str]:
    """A line per finding, or one that says that all is well."""
    if result.clean:
        yield "Clean: each record is once in history or dead letters, and every average agrees with its events."
    for part in result.partitions:
        for finding in part.findings:
            yield _line(f"{part.topic} {part.partition}, offsets", finding)
    for view in result.views:
        for finding in view.findings:
            yield _line(view.table, finding)


def _line(where: str, finding: Finding) -> str:
    """A finding as a sentence: where, how many, which, and what is wrong at the first."""
    more = finding.count - len(finding.places)
    shown = ", ".join(str(place) for place in finding.places) + (f", and {more:,} more" if more else "")
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"OFF: {finding.count:,} {finding.what}: {where} {shown}{detail}"
