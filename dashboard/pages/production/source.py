"""The tables that the pages of the production line show."""

from collections.abc import Sequence
from datetime import timedelta

import pandas as pd
import pyarrow.compute as pc

from dashboard.live.source import Layers, Source
from jobs.production import schema
from lakehouse.tables import loads

SPAN = timedelta(days=31)


def serve(speed: pd.DataFrame, batch: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The totals to show: the speed row where there is one (it is exact), else the batch row; no rows of zeros."""
    both = pd.concat([speed.assign(layer="speed"), batch.assign(layer="batch")], ignore_index=True)
    rows = both.drop_duplicates(list(keys))[[*schema.TOTAL_COLUMNS, "layer"]]
    rows = rows[(rows["units"] > 0)].assign(is_final=lambda frame: frame["day"] < frame["day"].max())
    return rows.sort_values(list(keys), ignore_index=True)


SOURCE = Source(
    schema.DOMAIN,
    readings={
        "hours": (schema.HOURS, loads.recent("hour_start", SPAN)),
        "concerns": (schema.CONCERNS, loads.recent("hour_start", SPAN)),
    },
    layers=Layers(
        speed=schema.TOTALS,
        batch=schema.TOTALS_BATCH,
        parity=schema.PARITY,
        disagrees=pc.field("cause") != "equal",
        span=SPAN,
        order="day",
        serve=serve,
    ),
)
HOURS = SOURCE.reading("hours")
CONCERNS = SOURCE.reading("concerns")
