"""Data files of a large table, without a JVM: which were appended since a version, which have times of some spans."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from lakehouse.tables.loads import PARQUET
from lakehouse.tables.table_io import Table

MILLISECOND = timedelta(milliseconds=1)  # Spark cuts the highest time of a file to milliseconds
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class ChangedError(Exception):
    """The table has done more than grow since the version, or nobody knows; the message says what, as a phrase."""


class Span(NamedTuple):
    """From a time to another, which is exclusive."""

    start: datetime
    end: datetime


def appended(folder: Path, since: int, until: int) -> list[Path]:
    """The files that the commits after version `since` up to `until` appended; a compaction since may have read them.

    Raises ChangedError when rows or columns were changed, or when a commit or a file is gone.
    """
    found: list[Path] = []
    for version in range(since + 1, until + 1):
        found += _added(folder, version)
    if gone := next((path.name for path in found if not path.exists()), ""):
        raise ChangedError(f"the file {gone} of the history is gone")
    return found


def _added(folder: Path, version: int) -> Iterator[Path]:
    try:
        text = (folder / "_delta_log" / f"{version:020}.json").read_text()
    except FileNotFoundError:
        raise ChangedError(f"version {version} of the history is gone from its log") from None
    for line in text.splitlines():
        action = json.loads(line)
        if "metaData" in action or "protocol" in action:
            raise ChangedError(f"version {version} of the history changed its columns or properties")
        if action.get("remove", {}).get("dataChange"):
            raise ChangedError(f"version {version} of the history changed or removed rows")
        if action.get("add", {}).get("dataChange"):
            yield folder / unquote(action["add"]["path"])


def files(delta: DeltaTable) -> pd.DataFrame:
    """The files of this version, one row each, with their statistics (`min.<column>`, `max.<column>`)."""
    found: pd.DataFrame = pa.table(delta.get_add_actions(flatten=True)).to_pandas()
    return found


def paths(folder: Path, listed: pd.DataFrame) -> list[Path]:
    """Where the listed files are."""
    return [folder / unquote(str(path)) for path in listed["path"]]


def overlapping(listed: pd.DataFrame, column: str, spans: Sequence[Span]) -> pd.DataFrame:
    """The files that may have rows with a time of the spans; those without statistics may."""
    may_have = pd.Series(False, listed.index)
    low, high = (_bounds(listed, f"{end}.{column}") for end in ("min", "max"))
    for start, end in spans:
        may_have |= (low.isna() | (low < end)) & (high.isna() | (high + MILLISECOND >= start))
    return listed[may_have]


def _bounds(listed: pd.DataFrame, name: str) -> "pd.Series[Any]":
    if name not in listed:
        return pd.Series(pd.NaT, listed.index, dtype="datetime64[us, UTC]")
    return pd.to_datetime(listed[name], utc=True)


def within(column: str, spans: Sequence[Span]) -> pc.Expression:
    """Rows with a time of the spans."""
    found = pc.scalar(False)
    for start, end in spans:
        found |= (pc.field(column) >= pa.scalar(start)) & (pc.field(column) < pa.scalar(end))
    return found


def scan(
    table: Table, found: Sequence[Path], columns: Sequence[str], where: pc.Expression | None = None
) -> Iterator[pa.Table]:
    """Columns of the rows in the files for which `where` holds, some ten thousand rows at a time."""
    if not found:
        return
    dataset = ds.dataset([str(path) for path in found], schema=table.arrow_schema, format=PARQUET)
    for batch in dataset.scanner(columns=list(columns), filter=where, batch_size=65_536).to_batches():
        if batch.num_rows:
            yield pa.Table.from_batches([batch])
