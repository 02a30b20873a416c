"""The tables that the pages of house sales show."""

import pyarrow.compute as pc

from dashboard.live.source import Layers, Source
from dashboard.pages.houses import bands, pricing
from dashboard.ui import event_grid, time_range
from jobs.houses import schema
from jobs.houses.price_model.live_error import LiveError
from lakehouse.tables import loads

_SALE = ("id", "price", "yr_built", "bedrooms", "bathrooms", "sqft_living", "zipcode", "event_at")

SOURCE = Source(
    schema.DOMAIN,
    readings={
        "sales": (schema.HISTORY, loads.newest(event_grid.ROWS, (*_SALE, *event_grid.COORDINATES))),
        "spread": (schema.HISTORY, bands.spread),
    },
    values={
        "models": lambda _readings: pricing.read_models(),
        "live_error": lambda _readings: pricing.read_live_error(),
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
MODELS = SOURCE.value("models", pricing.ModelsView)
LIVE_ERROR = SOURCE.value("live_error", LiveError)
