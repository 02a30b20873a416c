"""The tables that the pages of house sales show."""

import pyarrow.compute as pc

from dashboard.live.source import Layers, Source
from dashboard.pages.houses import bands
from dashboard.ui import event_grid, time_range
from jobs.houses import schema
from lakehouse.tables import loads

_SALE = ("id", "price", "yr_built", "bedrooms", "bathrooms", "sqft_living", "zipcode", "event_at")

SOURCE = Source(
    schema.DOMAIN,
    readings={
        "sales": (schema.HISTORY, loads.newest(event_grid.ROWS, (*_SALE, *event_grid.COORDINATES))),
        "spread": (schema.HISTORY, bands.spread),
    },
    layers=Layers(
        speed=schema.AVERAGES,
        batch=schema.AVERAGES_BATCH,
        parity=schema.PARITY,
        disagrees=pc.field("cause") != "equal",
        span=max(time_range.RANGES.values()),
    ),
)
SALES = SOURCE.reading("sales")
SPREAD = SOURCE.reading("spread")
