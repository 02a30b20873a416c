"""The data sets of the houses: splits the sales of a file by house, and reads the sets."""

import hashlib
import io
import json
import random
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.houses.sale_files import forms, values
from jobs.houses.sale_files.values import Sales
from jobs.houses.schema import FIELDS
from lakehouse.core import records
from lakehouse.errors import DataError
from lakehouse.settings import settings

INITIAL, TO_STREAM, FOR_SALE, FOR_SALE_PRICES = "initial", "to_stream", "for_sale", "for_sale_prices"
MANIFEST = "manifest.json"
FORMAT = 1  # of the manifest


def read_file(path: Path) -> Sales:
    """The sales of a CSV or Parquet file, each once, ordered so that all forms of a file give the same table.

    Raises UsageError for a file of another kind, DataError when it lacks a column or a value cannot be read.
    """
    return values.convert_sales(forms.read_columns(path))


def incomplete(rows: pa.Table) -> pa.Array:
    """A mask of the sales that lack a required field of events: they can be in the history, not on the stream."""
    needed = [field.name for field in FIELDS if field.required and field.name in rows.column_names]
    lacking = pa.array([False] * rows.num_rows, pa.bool_())
    for name in needed:
        lacking = pc.or_(lacking, pc.is_null(rows[name].combine_chunks()))
    return lacking


def split(
    sales: pa.Table, fractions: Mapping[str, float], seed: int, first: Collection[int] = ()
) -> dict[str, pa.Table]:
    """Disjoint sets of sales, all of a house's sales in one set; the same sales, fractions and seed give the same sets.

    Each set has its fraction of the rows to within one row, unless too many houses were sold several times.
    Houses with a sale at one of the positions `first` go into the first set while it has room.
    """
    houses: dict[str, list[int]] = {}
    for row, house in enumerate(sales["id"].to_pylist()):
        houses.setdefault(house, []).append(row)
    draw = random.Random(seed)
    dealt = list(houses.values())
    draw.shuffle(dealt)
    room = _sizes(sales.num_rows, fractions)
    sets: dict[str, list[int]] = {name: [] for name in fractions}
    firsts = frozenset(first)
    # Largest first, each into a set drawn by the room left, so that resold houses are spread like the others.
    for house in sorted(dealt, key=lambda rows: (not firsts.isdisjoint(rows), len(rows)), reverse=True):
        fits = [left if left >= len(house) else 0 for left in room.values()]
        if fits[0] and not firsts.isdisjoint(house):
            fits[1:] = [0] * (len(fits) - 1)
        name = draw.choices(list(room), fits)[0] if any(fits) else max(room, key=lambda each: room[each])
        sets[name] += house
        room[name] -= len(house)
    return {name: sales.take(pa.array(sorted(rows), pa.int64())) for name, rows in sets.items()}


def _sizes(rows: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Rows per set: its fraction rounded down, plus one for the sets that rounding cut most, until all are assigned."""
    sizes = {name: int(rows * fraction) for name, fraction in fractions.items()}
    cut = sorted(fractions, key=lambda name: sizes[name] - rows * fractions[name])
    for name in cut[: rows - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def data_folder() -> Path:
    """The folder of the sets."""
    return settings().var / "data/houses"


def is_empty() -> bool:
    """Whether the sets have no sale, as `build_datasets.py --empty` writes them."""
    try:
        sets = _manifest()["sets"]
    except (OSError, ValueError):
        return False
    return not any(part["rows"] for part in sets.values())


def _manifest() -> dict[str, Any]:
    """What the last build wrote. Raises OSError, ValueError, NewerFormatError when a newer version wrote it."""
    file = data_folder() / MANIFEST
    manifest: dict[str, Any] = json.loads(file.read_text())
    records.check_format(manifest, FORMAT, f"The file {file}")
    return manifest


def read_sets(*names: str) -> list[pa.Table]:
    """The named sets of one build. Raises DataError when they are missing or of different builds."""
    fix = "Build them with `./spark-submit.sh jobs/houses/build_datasets.py`."
    try:
        manifest = _manifest()
        contents = {name: (data_folder() / f"{name}.parquet").read_bytes() for name in names}
    except (OSError, ValueError):
        raise DataError(f"The data sets of the houses are not in {data_folder()}.", fix) from None
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest["sets"][name]["sha256"]:
            raise DataError(f"{data_folder() / name}.parquet is not of the same build as {MANIFEST}.", fix)
    return [pq.read_table(io.BytesIO(content)) for content in contents.values()]
