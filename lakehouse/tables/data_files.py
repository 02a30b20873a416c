"""Lost or damaged data files of a Delta table: finds them and removes them from the table, so that it can be read."""

from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse.tables.table_io import Table


def remove_damaged(table: Table) -> list[str]:
    """Remove files that are lost or cannot be read from the table; returns sentences about it.

    The version before still names them; a damaged file is renamed to <file>.damaged.
    """
    delta = DeltaTable(table.path)
    broken = [file for uri in delta.file_uris() if not _whole(file := Path(unquote(uri.removeprefix("file://"))))]
    if not broken:
        return []
    without = _without_coordinates(delta, {file.name for file in broken})
    for file in broken:
        if file.exists():
            file.replace(file.with_name(f"{file.name}.damaged"))
    version = delta.version()
    delta.repair()
    names = ", ".join(file.name for file in broken)
    done = [f"Removed from {table.name}: {names}. Its rows are read from the topic again; version {version} names it."]
    if without:
        done.append(
            f"{without:,} of its rows were never on a topic (an initial load): only a copy of the file has them."
        )
    return done


def _whole(file: Path) -> bool:
    try:
        pq.read_metadata(file)
    except (FileNotFoundError, pa.ArrowInvalid):
        return False
    return True


def _without_coordinates(delta: DeltaTable, names: set[str]) -> int:
    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    lost = [action for action in actions if Path(unquote(action["path"])).name in names]
    return sum(action.get("null_count.offset") or 0 for action in lost)
