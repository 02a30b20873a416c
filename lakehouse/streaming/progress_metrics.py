"""Measurements that outlive the process that takes them: JSON lines in var/run/metrics, a file an hour, kept 24 h.

One writer a series: the driver writes the rates of its queries, the dashboard their lag (it goes on while a driver is
dead). A missing line is a gap: nobody was measuring.
"""

import json
import logging
import math
import os
import time
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.settings import settings

SECONDS = 5.0  # between two samples of a series
KEPT_HOURS = 24
LONGEST_LINE = 16 * 1024  # of values: some 700 partitions, 280 MB a day


def folder(name: str) -> Path:
    """Where the lines of a series are."""
    return settings().run / "metrics" / name


def number(value: Any) -> float | None:
    """A finite number: Spark reports NaN and Infinity for a batch without time or rows."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def of_progress(progress: Mapping[str, Any]) -> dict[str, float | None]:
    """What is kept of a query's progress, as Spark reports it: rates in rows/s, the batch's seconds, rows of state."""
    millis = number((progress.get("durationMs") or {}).get("triggerExecution"))
    return {
        "input": number(progress.get("inputRowsPerSecond")),
        "processed": number(progress.get("processedRowsPerSecond")),
        "seconds": None if millis is None else millis / 1000,
        "state_rows": state_rows(progress),
    }


def state_rows(progress: Mapping[str, Any]) -> float | None:
    """Rows that the query's operators keep; None when it keeps no state."""
    kept = [number(operator.get("numRowsTotal")) for operator in progress.get("stateOperators") or []]
    return sum(rows or 0 for rows in kept) if kept else None


class Recorder:
    """Appends to a series, at most one line every 5 s, and drops files older than `hours`."""

    def __init__(self, name: str, hours: int = KEPT_HOURS) -> None:
        self._name = name
        self._hours = hours
        self._next = 0.0
        self._file: Path | None = None
        self._cut = False

    def record(self, values: Mapping[str, float | None], now: float | None = None) -> bool:
        """Write the values that are numbers down; False when the last line is too young, or the disk refuses."""
        at = time.time() if now is None else now
        if self._next - SECONDS <= at < self._next:  # a clock set back must not silence the series
            return False
        self._next = at + SECONDS
        numbers = {key: round(value, 3) for key, value in values.items() if value is not None and math.isfinite(value)}
        try:
            file = os.open(self._hour(at), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:  # a line in one call: the lines of two writers do not mix, whatever their length
                line = f"{self._line({'at': round(at, 1), **numbers})}\n".encode()
                return os.write(file, line) == len(line) or not os.write(file, b"\n")
            finally:
                os.close(file)
        except OSError:  # a full disk must not end a stream
            return False

    def _line(self, sample: dict[str, float]) -> str:
        """The sample as JSON. Of a sample with too many values only the first are kept; a warning says so once."""
        line = json.dumps(sample, separators=(",", ":"))
        if len(line) <= LONGEST_LINE:
            return line
        kept = sample
        while len(line) > LONGEST_LINE:
            kept = dict(list(kept.items())[: len(kept) * LONGEST_LINE // len(line)])
            line = json.dumps(kept, separators=(",", ":"))
        if not self._cut:
            self._cut = True
            what = "The history of %s keeps the first %d of %d values: a line is at most %d bytes."
            logging.getLogger(__name__).warning(what, self._name, len(kept) - 1, len(sample) - 1, LONGEST_LINE)
        return line

    def _hour(self, at: float) -> Path:
        file = folder(self._name) / f"{time.strftime('%Y%m%d%H', time.gmtime(at))}.jsonl"
        if file != self._file:
            file.parent.mkdir(parents=True, exist_ok=True)
            oldest = time.strftime("%Y%m%d%H", time.gmtime(at - self._hours * 3600))
            for old in file.parent.glob("*.jsonl"):
                if old.stem < oldest:
                    old.unlink(missing_ok=True)
            self._file = file
        return file


@dataclass(frozen=True, eq=False)
class Series:
    """Samples in the order of time: seconds since 1970, and a column per value with NaN where it was not measured."""

    at: "np.ndarray[Any, Any]" = field(default_factory=lambda: np.empty(0))
    values: Mapping[str, "np.ndarray[Any, Any]"] = field(default_factory=dict)

    def since(self, moment: float) -> "Series":
        """The samples from that time on."""
        first = int(np.searchsorted(self.at, moment))
        return Series(self.at[first:], {key: column[first:] for key, column in self.values.items()})

    def column(self, key: str) -> "np.ndarray[Any, Any]":
        """The values of one kind; all NaN when it was never measured."""
        return self.values.get(key, np.full(len(self.at), np.nan))


class History:
    """Follows a series: `read` takes in what was appended since; kept as columns of floats, 8 bytes a value.

    It keeps the last `seconds`; a column that has no value in them is dropped.
    """

    def __init__(self, name: str, seconds: float = KEPT_HOURS * 3600) -> None:
        self._name = name
        self._seconds = seconds
        self._clear()

    @property
    def _folder(self) -> Path:
        return folder(self._name)

    def _clear(self) -> None:
        self._file, self._offset = "", 0
        self._at = array("d")
        self._columns: dict[str, array[float]] = {}
        self._series = Series()

    def read(self) -> Series:
        """Everything that is kept; the same object again when nothing was added."""
        added = sum(self._take(sample) for sample in self._appended())
        if added:
            old = int(np.searchsorted(np.array(self._at), self._at[-1] - self._seconds))
            for column in (self._at, *self._columns.values()):
                del column[:old]
            values = {key: np.array(kept) for key, kept in self._columns.items()}
            values = {key: kept for key, kept in values.items() if not np.isnan(kept).all()}
            self._columns = {key: self._columns[key] for key in values}
            self._series = Series(np.array(self._at), values)
        return self._series

    def _appended(self) -> Iterator[dict[str, Any]]:
        files = sorted(self._folder.glob("*.jsonl"))[-2 - int(self._seconds // 3600) :]
        if self._file and (not files or self._shrunk()):
            self._clear()
        for file in files:
            if file.name < self._file:
                continue
            if file.name > self._file:
                self._file, self._offset = file.name, 0
            with file.open("rb") as lines:
                lines.seek(self._offset)
                chunk = lines.read()
            whole = chunk[: chunk.rfind(b"\n") + 1]  # the last line may be half written
            self._offset += len(whole)
            yield from _parsed(whole)

    def _shrunk(self) -> bool:
        try:
            return (self._folder / self._file).stat().st_size < self._offset
        except FileNotFoundError:
            return True

    def _take(self, sample: dict[str, Any]) -> bool:
        at = sample.pop("at")
        if self._at and at <= self._at[-1]:  # two writers, or a clock set back: time goes one way here
            return False
        for key in sample.keys() - self._columns.keys():
            self._columns[key] = array("d", [math.nan]) * len(self._at)
        for key, column in self._columns.items():
            column.append(sample.get(key, math.nan))
        self._at.append(at)
        return True


def _parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    """Samples of whole lines; a line that a kill has cut off is left out."""
    for line in lines.splitlines():
        try:
            sample = json.loads(line)
        except ValueError:
            continue
        if (
            isinstance(sample, dict)
            and "at" in sample
            and all(isinstance(value, int | float) for value in sample.values())
        ):
            yield sample
