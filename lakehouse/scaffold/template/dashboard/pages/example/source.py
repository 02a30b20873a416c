"""The tables that the pages of the domain show."""

import pyarrow.compute as pc

from dashboard.live.snapshot import Source
from dashboard.ui import time_range
from jobs.example import schema

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
    span=max(time_range.RANGES.values()),
)
