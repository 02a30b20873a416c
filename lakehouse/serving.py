"""Reading the lake for a page, without a JVM: the served rows, and tables that are read again only when they changed.

A reader never raises: a missing table is `empty`; a damaged one is `error` with a sentence and keeps its last rows.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable

from lakehouse import advice, tables
from lakehouse.checkpoints import BatchPlan
from lakehouse.loaders import Loader, highest
from lakehouse.tables import Table


@dataclass(frozen=True, eq=False)
class Reading:
    """What a table said last; two readings are the same only if they are one object.

    `total` and `streamed` (rows with a Kafka offset) count the whole table, `frame` holds the rows that were loaded.
    """

    state: str = "empty"  # empty, ready, error
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    version: int = -1
    total: int = 0
    streamed: int = 0
    newest_event_at: datetime | None = None
    committed_at: datetime | None = None
    error: str = ""


class TableReader:
    """Reads a table through `load` when its Delta version has changed, else answers with the same Reading again."""

    def __init__(self, table: Table, load: Loader) -> None:
        self.table = table
        self._load = load
        self._delta: DeltaTable | None = None
        self._stamp: tuple[int, ...] | None = None
        self._last = Reading(frame=_no_rows(table))

    def read(self) -> Reading:
        """The table's newest committed state."""
        try:
            self._last = self._read()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # whatever a damaged table makes a library raise, Rust's panic too: we live on
            self._delta = None
            sentence = f"The table {self.table.domain}.{self.table.name} cannot be read: {_first_line(error)} "
            sentence += advice.repair(self.table, error)
            if self._last.error != sentence:
                self._last = replace(self._last, state="error", error=sentence)
        return self._last

    def _read(self) -> Reading:
        log = self.table.path / "_delta_log"
        if self._delta is not None and self._stamp != _stamp(log, self._delta.version()):
            self._delta = None  # deleted or made anew: what is held is not its past
        if self._delta is not None:
            if not _commit(log, self._delta.version() + 1).exists():
                return self._last
            self._delta.update_incremental()
        elif tables.exists(self.table):
            self._delta = DeltaTable(self.table.path)
        else:
            untouched = self._last.version == -1 and not self._last.error
            return self._last if untouched else Reading(frame=_no_rows(self.table))
        self._stamp = _stamp(log, self._delta.version())
        return self._reading(self._delta)

    def _reading(self, delta: DeltaTable) -> Reading:
        missing = set(self.table.columns) - {column.name for column in delta.schema().fields}
        if missing:
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
        files: pd.DataFrame = pa.table(delta.get_add_actions(flatten=True)).to_pandas()
        rows = files["num_records"]
        return Reading(
            state="ready" if rows.sum() else "empty",
            frame=self._load(self.table, delta, files).to_pandas() if rows.sum() else _no_rows(self.table),
            version=delta.version(),
            total=int(rows.sum()),
            streamed=int((rows - files["null_count.offset"]).sum()) if "null_count.offset" in files else 0,
            newest_event_at=highest(files, "event_at"),
            committed_at=datetime.fromtimestamp(self._stamp[0] / 1e9, UTC) if self._stamp else None,
        )


def _commit(log: Path, version: int) -> Path:
    return log / f"{version:020}.json"


def _stamp(log: Path, version: int) -> tuple[int, ...] | None:
    """What tells this commit from one of a table made anew; an old commit may be left as a checkpoint only."""
    for file in (_commit(log, version), log / f"{version:020}.checkpoint.parquet"):
        if file.exists():
            status = file.stat()
            return status.st_mtime_ns, status.st_ino, status.st_size
    return None


def _no_rows(table: Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.arrow_schema.empty_table().to_pandas()
    return frame


def _first_line(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line[:200].rstrip(".") + "."


def served(speed: pd.DataFrame, batch: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The served rows, one per key: the batch row where there is one, else the speed row.

    A speed row that a newer averages batch changed after the batch row's last covered one is served instead, so that a
    batch row taken while its window was open does not freeze the page. Against a speed layer that was begun anew since,
    a batch row stands unless its window was open then, or had another length. `layer` says which one it is. A batch row
    whose window the speed layer does not have is final.
    """
    values = [column for column in speed.columns if column in batch.columns and column not in keys]
    both = batch.merge(speed, on=list(keys), how="outer", suffixes=("_batch", "_speed"), indicator="where")
    covered = pd.to_numeric(both["covered_batch_id"])
    changed_later = (both["covered_generation"] == both["generation"]) & (pd.to_numeric(both["batch_id"]) > covered)
    covered_nothing = both["covered_generation"].isna()
    another = both["window_end_batch"] != both["window_end_speed"]
    was_open = pd.to_datetime(both["recomputed_at"], utc=True) < pd.to_datetime(both["window_end_batch"], utc=True)
    outdated = another | (was_open & (both["covered_generation"] != both["generation"]))
    by_speed = both["where"] == "right_only"
    by_speed |= (both["where"] == "both") & (changed_later | covered_nothing | outdated)
    rows = both[list(keys)].copy()
    for column in values:
        chosen = both[f"{column}_batch"].where(~by_speed, both[f"{column}_speed"])
        rows[column] = chosen.astype(speed[column].dtype)
    rows["is_final"] = both["is_final"].isna() | both["is_final"].eq(True)
    rows["layer"] = by_speed.map({True: "speed", False: "batch"})
    return rows.sort_values(list(keys), ignore_index=True)


class RateMeter:
    """Events per second from a growing total, over the last `seconds`."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, total: int, at: float) -> float | None:
        """The rate after this measurement, None until there are two; a falling total (new topic) starts afresh."""
        if self._seen and total < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at, total))
        while len(self._seen) > 2 and self._seen[1][0] <= at - self._seconds:
            self._seen.popleft()
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else None


def lag(ends: Mapping[tuple[str, int], int], starts: Mapping[tuple[str, int], int], done: BatchPlan | None) -> int:
    """Events on the topics that the last committed batch has not read."""
    read: Mapping[Any, int] = done.ends if done else {}
    return sum(max(0, end - read.get(where, starts.get(where, 0))) for where, end in ends.items())
