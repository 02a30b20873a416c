"""The tables that the pages of the domain show."""

import pyarrow.compute as pc

from dashboard.live.source import Layers, Source
from dashboard.ui import time_range
from jobs.example import schema

SOURCE = Source(
    schema.DOMAIN,
    layers=Layers(
        speed=schema.TOTALS,
        batch=schema.TOTALS_BATCH,
        parity=schema.PARITY,
        disagrees=pc.field("cause") != "equal",
        span=max(time_range.RANGES.values()),
    ),
)
