"""How a Delta table is doing: version, live files, size, rows, last commit. A Loader for serving.TableReader."""

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.tables.table_io import Table


def shape(_table: Table, delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
    """One row: files, bytes and the operation of the newest commit."""
    last = delta.history(1)
    told = str(last[0].get("operation") or "") if last else ""
    sizes = files["size_bytes"] if "size_bytes" in files else pd.Series(dtype="int64")
    return pa.table({"files": [len(files)], "bytes": [int(sizes.sum())], "operation": [told]})
