"""Reading the lake for a page, without a JVM; a table is read again only when it has changed.

A reader never raises: a missing table is `empty`; a damaged one is `error` with a sentence and keeps its last rows.
A column that the table lacks, since its writer has not started since it was added, is null.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.errors import first_line
from lakehouse.tables import repair_advice, schema_changes, table_io
from lakehouse.tables.loads import Loader, highest
from lakehouse.tables.table_io import Table


@dataclass(frozen=True, eq=False)
class Reading:
    """What was last read of a table; two readings are equal only if they are one object.

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
    """Reads a table through `load` when its Delta version has changed, else returns the same Reading again."""

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
        except BaseException as error:  # of a damaged table, even a panic of Rust: the page goes on
            self._delta = None
            sentence = f"The table {self.table.domain}.{self.table.name} cannot be read: {_sentence(error)} "
            sentence += repair_advice.advice_for(self.table, error)
            if self._last.error != sentence:
                self._last = replace(self._last, state="error", error=sentence)
        return self._last

    def _read(self) -> Reading:
        log = self.table.path / "_delta_log"
        if self._delta is not None and self._stamp != _stamp(log, self._delta.version()):
            self._delta = None  # deleted or created again: its log is another one
        if self._delta is not None:
            if not _commit(log, self._delta.version() + 1).exists():
                return self._last
            self._delta.update_incremental()
        elif table_io.exists(self.table):
            self._delta = DeltaTable(self.table.path)
        else:
            untouched = self._last.version == -1 and not self._last.error
            return self._last if untouched else Reading(frame=_no_rows(self.table))
        self._stamp = _stamp(log, self._delta.version())
        return self._reading(self._delta)

    def _reading(self, delta: DeltaTable) -> Reading:
        lacking = schema_changes.missing_columns(self.table, delta)
        if of_key := [name for name in lacking if name in self.table.keys]:  # any other column may have been added
            raise ValueError(f"it has no column {', '.join(of_key)}")
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
    """Differs when the table was created again; of an old commit only the checkpoint may be left."""
    for file in (_commit(log, version), log / f"{version:020}.checkpoint.parquet"):
        if file.exists():
            status = file.stat()
            return status.st_mtime_ns, status.st_ino, status.st_size
    return None


def _no_rows(table: Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.arrow_schema.empty_table().to_pandas()
    return frame


def _sentence(error: BaseException) -> str:
    return first_line(str(error), type(error).__name__)[:200].rstrip(".") + "."
