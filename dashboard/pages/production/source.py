"""The tables that the pages of the production line show."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from dashboard.live.snapshot import Source
from jobs.production import schema
from lakehouse.settings import settings
from lakehouse.tables import loads
from lakehouse.tables.reader import Reading, TableReader
from lakehouse.tables.table_io import Table

SPAN = timedelta(days=31)


@cache
def _reader(_lake: Path, table: str) -> TableReader:
    tables = {known.name: known for known in (schema.HOURS, schema.CONCERNS)}
    return TableReader(tables[table], loads.recent("hour_start", SPAN))


def _recent(table: Table) -> Reading:
    """The hours of the last days; one reader per lake and table, made when it is first asked for."""
    return _reader(settings().var, table.name).read()


def serve(speed: pd.DataFrame, batch: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The totals to show: the speed row where there is one (it is exact), else the batch row; no rows of zeros."""
    both = pd.concat([speed.assign(layer="speed"), batch.assign(layer="batch")], ignore_index=True)
    rows = both.drop_duplicates(list(keys))[[*schema.TOTAL_COLUMNS, "layer"]]
    rows = rows[(rows["units"] > 0)].assign(is_final=lambda frame: frame["day"] < frame["day"].max())
    return rows.sort_values(list(keys), ignore_index=True)


SOURCE = Source(
    domain=schema.DOMAIN,
    history=schema.HISTORY,
    feed=(),
    speed=schema.TOTALS,
    batch=schema.TOTALS_BATCH,
    parity=schema.PARITY,
    disagrees=pc.field("cause") != "equal",
    history_query="history",
    speed_query="totals",
    span=SPAN,
    order="day",
    serve=serve,
    extra={"hours": partial(_recent, schema.HOURS), "concerns": partial(_recent, schema.CONCERNS)},
)
