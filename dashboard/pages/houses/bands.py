"""How far the average of a window may lie from that of all such sales: a 95 % band, from the sales in history."""

import math
from datetime import timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from jobs.houses import schema
from lakehouse.tables import loads
from lakehouse.tables.table_io import Table

SPAN = timedelta(minutes=10)  # of the newest sales; a window that began earlier has no band
FEWEST = 5  # sales in a window; of fewer, a band says nothing
WINDOW = pd.Timedelta(schema.WINDOW)
_Z = 1.959964  # of the normal distribution: 95 % lies within
_SALES = loads.recent_columns("event_at", SPAN, ("event_at", "yr_built", "price"))


def spread(table: Table, delta: DeltaTable, files: pd.DataFrame) -> pa.Table:
    """A row per window and decade: how many sales history has of it, and the standard deviation of their prices."""
    sales = _SALES(table, delta, files)
    at = sales["event_at"]
    # Without its zone, UTC: with it Arrow looks up the machine's time zones, which may lack.
    start = pc.floor_temporal(at.cast(pa.timestamp("us")), multiple=int(WINDOW.total_seconds()), unit="second")
    start = start.cast(at.type)
    decade = pc.multiply(pc.divide(sales["yr_built"], 10), 10)
    rows = pa.table({"window_start": start, "decade": decade, "price": pc.cast(sales["price"], pa.float64())})
    if rows.num_rows:  # the first window may have been cut
        rows = rows.filter(pc.greater_equal(start, pc.subtract(pc.max(sales["event_at"]), pa.scalar(SPAN))))
    deviation = ("price", "stddev", pc.VarianceOptions(ddof=1))
    return rows.group_by(["window_start", "decade"]).aggregate([("price", "count"), deviation])


def with_bands(last: pd.DataFrame, spreads: pd.DataFrame) -> pd.DataFrame:
    """Served windows with `band`: half the width, in dollars, of the 95 % band of the average; NaN where there is none.

    Student's t over the sales that history has of the window.
    """
    if "price_stddev" not in spreads:  # nothing could be read yet
        return last.assign(band=math.nan)
    both = last.merge(spreads, how="left", on=["window_start", "decade"])
    whole = (both["window_end"] - both["window_start"] == WINDOW) & (both["price_count"] >= FEWEST)
    widths = [
        student(int(count) - 1) * deviation / math.sqrt(count) if fits else math.nan
        for count, deviation, fits in zip(both["price_count"], both["price_stddev"], whole, strict=True)
    ]
    return last.assign(band=widths)


def student(freedom: int) -> float:
    """The two-sided 95 % point of Student's t, within 0.3 % from 4 degrees of freedom on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    terms = (
        _Z,
        (_Z**3 + _Z) / 4,
        (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96,
        (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))
