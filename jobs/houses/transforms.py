"""The domain's rules: pure functions, DataFrame -> DataFrame, the same for the stream and for batches."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.houses.events import SALE
from jobs.houses.schema import EARLIEST, HISTORY, MAX_AHEAD
from lakehouse.events import rules
from lakehouse.events.reader import PLACE, RECORD, read_events

_ZEROS = r"^0+(?=\d+\z)"  # 0071 is the house 71


def parse_sales(records: DataFrame, keep: Sequence[str] = tuple(RECORD)) -> DataFrame:
    """Kafka records as typed sales, one row per record: HISTORY's columns, what is kept of the record, and `reason`.

    `reason` is the first rule that the record breaks, null for a valid sale. A sale without `sold_at` has the record's
    timestamp as its event time.
    """
    sales = _timed(read_events(records, SALE, keep=keep))
    named = sales.withColumns({"id": F.regexp_replace("id", _ZEROS, ""), "source": F.lit("stream")})
    return named.select(*dict.fromkeys([*HISTORY.columns, *keep, "reason"]))


def valid_sales(records: DataFrame) -> DataFrame:
    """The valid sales of Kafka records, one row per record, with HISTORY's columns; resends are kept."""
    return rules.valid_events(parse_sales(records, PLACE), HISTORY)


def priced_sales(records: DataFrame) -> DataFrame:
    """The valid sales of Kafka records, with what their average price needs: event_at, price, yr_built."""
    needed = ("price", "yr_built", "sold_at")
    sales = _timed(read_events(records, SALE, needed, keep=("recorded_at",)))
    return sales.where(F.col("reason").isNull()).select("event_at", "price", "yr_built")


def _timed(read: DataFrame) -> DataFrame:
    timed = read.withColumn("event_at", F.coalesce("sold_at", "recorded_at"))
    return rules.with_rules(timed, rules.time_rules("sold_at", EARLIEST, MAX_AHEAD))


def with_decade(sales: DataFrame) -> DataFrame:
    """Sales with `decade`, the decade the house was built in: 1955 -> 1950."""
    return sales.withColumn("decade", (F.floor(F.col("yr_built") / 10) * 10).cast("int"))


def average_price(sales: DataFrame, window: str, slide: str | None = None) -> DataFrame:
    """Average price and number of sales, one row per (window_start, decade).

    Prices are added as whole cents and divided once, so any recomputation gives the same double. A sale without event
    time (the initial history) is in no window.
    """
    grouped = with_decade(sales).groupBy(F.window("event_at", window, slide).alias("w"), "decade")
    sums = grouped.agg(
        F.count(F.lit(1)).alias("sales"), F.sum((F.col("price") * 100).cast("bigint")).alias("sum_cents")
    )
    return sums.select(
        F.col("w.start").alias("window_start"),
        F.col("w.end").alias("window_end"),
        "decade",
        (F.col("sum_cents").cast("double") / (F.col("sales") * 100).cast("double")).alias("avg_price"),
        "sales",
        "sum_cents",
    )
