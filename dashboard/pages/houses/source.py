"""The tables that the pages of house sales show, and the list of sales as they come."""

import re
from datetime import UTC, datetime

import pandas as pd
import pyarrow.compute as pc

from dashboard.live.event_list import EventList, Row
from dashboard.live.source import Layers, Source
from dashboard.pages.houses import bands
from dashboard.ui import event_grid, time_range
from jobs.houses import schema
from jobs.houses.events import SALE
from lakehouse.events.invalid import Invalid
from lakehouse.tables import loads

_SHOWN = ("id", "price", "yr_built", "bedrooms", "bathrooms", "sqft_living", "zipcode", "event_at")
_SALE = (*_SHOWN, *event_grid.COORDINATES)
_EARLIEST = datetime.fromisoformat(schema.EARLIEST).replace(tzinfo=UTC)
_AHEAD = pd.Timedelta(schema.MAX_AHEAD).to_pytimedelta()


def sale(row: Row, recorded_at: datetime) -> Row:
    """A sale as the history has it: the house's id without zeros before it, and the event time. Raises Invalid."""
    event_at = row["sold_at"] or recorded_at
    if not _EARLIEST <= event_at <= recorded_at + _AHEAD:
        raise Invalid("event time out of range")
    return row | {"id": re.sub(r"^0+(?=\d+\Z)", "", row["id"], flags=re.ASCII), "event_at": event_at}


SOURCE = Source(
    schema.DOMAIN,
    readings={
        "sales": (schema.HISTORY, loads.newest(event_grid.ROWS, _SALE)),
        "spread": (schema.HISTORY, bands.spread),
    },
    layers=Layers(
        speed=schema.AVERAGES,
        batch=schema.AVERAGES_BATCH,
        parity=schema.PARITY,
        disagrees=pc.field("cause") != "equal",
        span=max(time_range.RANGES.values()),
    ),
    events=EventList(schema.SALES, SALE, schema.HISTORY, _SALE, sale),
)
SALES = SOURCE.reading("sales")
SPREAD = SOURCE.reading("spread")
