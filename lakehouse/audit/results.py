"""What an audit finds, and the stored results that later ones rest on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.core import files, run_state
from lakehouse.settings import settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SHOWN = 20  # offsets or keys named per finding; the rest is counted
KEPT_GAPS = 10_000  # ranges without a record that are kept per partition


@dataclass
class Finding:
    """Something that is off: in how many places, the first of them, and what is wrong at the first."""

    what: str
    count: int = 0
    places: list[Any] = field(default_factory=list)
    detail: str = ""


class Findings:
    """What is off in one place, gathered over many slices."""

    def __init__(self) -> None:
        self._found: dict[str, Finding] = {}

    def add(self, what: str, places: "Sequence[Any] | npt.NDArray[np.int64]", detail: str = "") -> None:
        """Count places under a name; no places are no finding."""
        if not len(places):
            return
        found = self._found.setdefault(what, Finding(what, detail=detail))
        found.count += len(places)
        found.places += [_plain(place) for place in places[: SHOWN - len(found.places)]]

    def told(self) -> list[dict[str, Any]]:
        """The findings as JSON has them."""
        return [vars(found) for found in self._found.values()]


def _plain(place: Any) -> Any:
    return place if isinstance(place, str) else int(place)


def folder(domain: str) -> Path:
    """Where the results of the domain's audits are; they go with the domain's tables."""
    return settings().lake / domain / "_audits"


def store(domain: str, at: datetime, result: Mapping[str, Any]) -> Path:
    """Keep an audit's result for good."""
    path = folder(domain) / f"{at:%Y%m%dT%H%M%S%f}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace_json(path, result)
    return path


def last(domain: str) -> dict[str, Any]:
    """The result of the newest audit that can be read; empty when there is none."""
    for path in sorted(folder(domain).glob("*.json"), reverse=True):
        if found := run_state.read_json(path):
            return found
    return {}


Ranges = list[dict[str, Any]]


def covered(earlier: Ranges, new: Mapping[str, Any], start: int) -> Ranges:
    """Which audit speaks for which offsets of a partition: `new` for all it could read, earlier ones below `start`."""
    kept = [{**one, "to": min(one["to"], start)} for one in earlier if one["from"] < min(one["to"], start)]
    return [*kept, dict(new)] if new["from"] < new["to"] else kept


def uncovered(ranges: Ranges, start: int) -> list[tuple[int, int]]:
    """The offsets below `start` that no audit has read, as ranges with their end exclusive."""
    at, open_ranges = 0, []
    for one in sorted(ranges, key=lambda one: int(one["from"])):
        if one["from"] > at:
            open_ranges.append((at, min(one["from"], start)))
        at = max(at, one["to"])
    return [*open_ranges, (at, start)] if at < start else open_ranges


def off(result: Mapping[str, Any]) -> Iterator[str]:
    """A line per finding, or one that says that all is well."""
    if result["clean"]:
        yield "Clean: each record is once in history or dead letters, and every average is what its events make it."
    for part in result["partitions"]:
        for finding in part["findings"]:
            yield _line(f"{result['topic']} {part['partition']}, offsets", finding)
    for view in result["views"]:
        for finding in view["findings"]:
            yield _line(view["table"], finding)


def _line(where: str, finding: Mapping[str, Any]) -> str:
    """A finding as a sentence: where, how many, which, and what is wrong at the first."""
    more = finding["count"] - len(finding["places"])
    shown = ", ".join(str(place) for place in finding["places"]) + (f", and {more:,} more" if more else "")
    detail = f" ({finding['detail']})" if finding["detail"] else ""
    return f"OFF: {finding['count']:,} {finding['what']}: {where} {shown}{detail}"
