"""The tables that the pages of house sales show."""

import pyarrow.compute as pc

from dashboard.live.snapshot import Source
from dashboard.pages.houses import bands, pricing
from dashboard.ui import time_range
from jobs.houses import schema

SOURCE = Source(
    domain=schema.DOMAIN,
    history=schema.HISTORY,
    feed=("id", "price", "yr_built", "bedrooms", "bathrooms", "sqft_living", "zipcode", "event_at"),
    speed=schema.AVERAGES,
    batch=schema.AVERAGES_BATCH,
    parity=schema.PARITY,
    disagrees=pc.field("cause") != "equal",
    history_query="history",
    speed_query="averages",
    span=max(time_range.RANGES.values()),
    extra={
        "models": pricing.read_models,
        "live_error": pricing.read_live_error,
        "spread": bands.read,
    },
)
