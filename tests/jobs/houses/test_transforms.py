"""The domain's rules over a few telling records each."""

import json
from datetime import timedelta
from typing import Any

import pytest
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.houses import transforms
from jobs.houses.schema import HISTORY
from lakehouse.events import rules
from lakehouse.events.fields import Kind
from lakehouse.events.forms import HALF
from lakehouse.events.record import CUT, KEPT_BYTES
from lakehouse.spark.session import collect
from tests.jobs.houses.sales import NOON, RECORDS, at, event, plain, record

pytestmark = pytest.mark.spark


def parse(spark: SparkSession, *values: Any) -> DataFrame:
    """The values as records at offsets 0, 1, …, parsed."""
    return transforms.parse_sales(spark.createDataFrame([record(v, n) for n, v in enumerate(values)], RECORDS))


GOOD: list[Any] = [
    event(),
    plain(),
    event(waterfront=True),
    event(waterfront=1.0, bedrooms=3.0, yr_built=1955.0),
    event(waterfront="1"),
    event(id=7129300520),
    event(id="0071"),
    event(id="71.0"),
    event(id=71.0),
    event(id=2.49020045e9),
    event(price="221900", bedrooms="3", lat="47.5112", view="0"),
    event(listed_at="2014-10-13"),
    event(listed_at="20141013T000000"),
    event(sold_at=1795348800000.25),
    event(sold_at="2026-11-22t12:00:00,5z"),
    event(sold_at="20261122T120000+0000"),
    event(sold_at="2026-11-22 12:00:00+00"),
    json.dumps(event()).encode()[:-1] + b',"price":1}',
    b'{"price":[],' + json.dumps(event()).encode()[1:],
    event(id=0, event_id=12345678901234567890),
    event(event_id="9.5E7"),
    event(event_id="{1.0}"),
    b"\xef\xbb\xbf" + json.dumps(event()).encode(),
    event(sold_at=1795348800000),
    event(sold_at="2026-11-22T13:00:00.5+01:00"),
    event(sold_at="2026-11-22 12:00"),
    event(sold_at=None),
    event(sold_at=at(300)),  # five minutes after noon: within bounds of a record stamped a second past it
    event(sold_at="2001-01-01T00:00:00Z"),  # very late, yet a sale
    event(grade=None, event_id=None, listed_at=None),
    event(unknown={"deep": [1, 2]}),
    event(unknown=[{"x": 1}], more=["}],"]),
    event(price=0.01),
    event(event_id="<b>x</b>"),
]


def test_good_sales_are_valid(spark: SparkSession) -> None:
    parsed = parse(spark, *GOOD).cache()
    assert rules.dead_letters(parsed).select("offset", "reason").collect() == []
    assert rules.valid_events(parsed, HISTORY).count() == len(GOOD)


NO_TIME, NO_DAY = f"not {Kind.TIME.wanted}", f"not {Kind.TIME_OR_DAY.wanted}"
LATE = "sold_at: more than 5 minutes after the record's timestamp; a time without a zone is UTC"
BAD: list[tuple[Any, str]] = [
    (None, "null value"),
    (b"", "empty value"),
    (b"x" * 1_000_000, "value larger than 256 KB"),
    (bytes(KEPT_BYTES + 1), CUT),
    (json.dumps(event()).encode() + b" " * 300_000, "value larger than 256 KB"),
    (b'{"id":"\xff\xfe"}', "invalid UTF-8"),
    (b'{"id":', "JSON that is cut off; one whole object is wanted"),
    (b"[]", "an array; each event is wanted as a record of its own"),
    (b"null", "a number, true, false or null; a JSON object is wanted"),
    (b'"text"', "a JSON text; a JSON object is wanted"),
    (json.dumps(event()).encode() + b"}", "something after the object; one object is wanted"),
    (json.dumps(event()).encode() * 2, "more than one object; each event is wanted as a record of its own"),
    (json.dumps(event()).replace("221900", "NaN").encode(), "NaN or Infinity, which JSON has not; null is wanted"),
    (json.dumps(event()).encode() + b"]} and more", "something after the object; one object is wanted"),
    (
        json.dumps(event()).encode() + b'],"event":[' + json.dumps(event()).encode(),
        "something after the object; one object is wanted",
    ),
    (json.dumps(event()).encode() + b'},"in":{"x":1', "something after the object; one object is wanted"),
    (b"[" * 100_000, "nested deeper than 500 levels"),
    (b"{}", "an object without fields; the fields of an event are wanted"),
    (b'{"price": 1}', "id: missing"),
    (json.dumps(event()).encode()[:-1] + b',"price":true}', "price: true or false, not a number"),
    (json.dumps(event(note=[[]])).replace("[[]]", "[" * 500 + "]" * 500).encode(), "nested deeper than 500 levels"),
    (json.dumps(event(note="\ud800")).encode(), HALF),
    (event(price="NaN"), "price: a text, not a number"),
    (event(price="221900 dollars"), "price: a text, not a number"),
    (event(price=None), "price: missing"),
    (event(price=-1), "price: out of bounds (0.01 to 100000000)"),
    (event(price=0), "price: out of bounds (0.01 to 100000000)"),
    (event(price=1e12), "price: out of bounds (0.01 to 100000000)"),
    (json.dumps(event()).replace("221900", "1e999").encode(), "price: out of bounds (0.01 to 100000000)"),
    (event(price=200_000_000), "price: out of bounds (0.01 to 100000000)"),
    (event(bedrooms=3.5), "bedrooms: a number with a fraction, not a whole number"),
    (event(bedrooms=[3]), "bedrooms: an array, not a whole number"),
    (event(yr_built=0), "yr_built: out of bounds (1800 to 2100)"),
    (event(yr_built=3000), "yr_built: out of bounds (1800 to 2100)"),
    (event(grade="good"), "grade: a text, not a whole number"),
    (event(grade=99), "grade: out of bounds (1 to 13)"),
    (event(id="../../etc"), "id: not 1 to 64 letters, digits, - or _"),
    (event(id="71\n"), "id: not 1 to 64 letters, digits, - or _"),
    (event(waterfront="1f"), "waterfront: a text, not 0, 1, true or false"),
    (event(sold_at="2026-11-22T12:00:00Z\n"), f"sold_at: a text, {NO_TIME}"),
    (event(id=71.5), "id: a number with a fraction; a text or a whole number is wanted"),
    (event(id=True), "id: true or false; a text or a whole number is wanted"),
    (event(event_id=1.5), "event_id: a number with a fraction; a text or a whole number is wanted"),
    (event(event_id=[1e9]), "event_id: an array; a text or a whole number is wanted"),
    (event(id="9.5E7"), "id: not 1 to 64 letters, digits, - or _"),
    (
        event(sold_at=1795348800),
        f"sold_at: a number that looks like seconds, {NO_TIME}",
    ),
    (
        event(sold_at="1795348800.25"),
        f"sold_at: a number that looks like seconds, {NO_TIME}",
    ),
    (
        event(sold_at=1795348800000000),
        f"sold_at: a number that looks like microseconds, {NO_TIME}",
    ),
    (
        event(sold_at=1795348800000000000),
        f"sold_at: a number that looks like nanoseconds, {NO_TIME}",
    ),
    (event(sold_at="2026-11-22"), f"sold_at: a day without a time, {NO_TIME}"),
    (event(price=""), "price: an empty text, not a number"),
    (event(price=True), "price: true or false, not a number"),
    (event(price={"usd": 1}), "price: an object, not a number"),
    (
        json.dumps(event()).replace("sqft_lot", "SqftLot").encode(),
        "sqft_lot: missing; a field of nearly this name is there",
    ),
    (event(event_id="x" * 200), "event_id: not 1 to 128 characters"),
    (event(sold_at="2099-01-01T00:00:00Z"), LATE),
    (event(sold_at=at(302)), LATE),
    (event(sold_at="1999-12-31T23:59:59Z"), "sold_at: before 2000-01-01"),
    (event(sold_at="now"), f"sold_at: a text, {NO_TIME}"),
    (event(sold_at="2026-02-30T00:00:00Z"), f"sold_at: a text, {NO_TIME}"),
    (event(sold_at=99999999999999999999), "sold_at: not from 1900-01-01 to 2200-01-01"),
    (event(sold_at=at(0) + "\n"), f"sold_at: a text, {NO_TIME}"),
    (event(listed_at="9999-12-31T23:59:59Z"), "listed_at: not from 1900-01-01 to 2200-01-01"),
    (event(listed_at=99999999999999), "listed_at: not from 1900-01-01 to 2200-01-01"),
    (event(listed_at="yesterday"), f"listed_at: a text, {NO_DAY}"),
]


def test_bad_records_are_dead_letters_with_their_bytes_and_reason(spark: SparkSession) -> None:
    parsed = parse(spark, *[value for value, _reason in BAD])
    assert rules.valid_events(parsed, HISTORY).count() == 0
    letters = sorted(rules.dead_letters(parsed).collect(), key=lambda row: row["offset"])
    assert [row["reason"] for row in letters] == [reason for _value, reason in BAD]
    sent = [record(value)[-1] and record(value)[-1][:KEPT_BYTES] for value, _reason in BAD]
    assert [row["value"] for row in letters] == sent
    assert [row["offset"] for row in letters] == list(range(len(BAD)))


def test_a_record_is_either_a_sale_or_a_dead_letter(spark: SparkSession) -> None:
    values = [*GOOD, *[value for value, _reason in BAD]]
    parsed = parse(spark, *values)
    good = {row["offset"] for row in rules.valid_events(parsed, HISTORY).collect()}
    bad = {row["offset"] for row in rules.dead_letters(parsed).collect()}
    assert not good & bad
    assert good | bad == set(range(len(values)))


def test_a_valid_sale_has_typed_columns_coordinates_and_event_time(spark: SparkSession) -> None:
    sale, short = collect(rules.valid_events(parse(spark, event(id="0071"), plain()), HISTORY).sort("offset"))
    assert list(sale) == list(HISTORY.columns)
    assert (sale["id"], str(sale["price"]), sale["bathrooms"], sale["yr_built"]) == ("71", "221900.00", 1.0, 1955)
    assert sale["event_at"] == NOON
    assert (sale["topic"], sale["partition"], sale["offset"], sale["source"]) == ("houses", 0, 0, "stream")
    assert short["sold_at"] is None
    assert short["event_at"] == short["recorded_at"]


def outcome(parsed: DataFrame) -> tuple[list[Any], list[Any], list[Any]]:
    """What a batch writes, in the order of offsets, times as numbers: sales, dead letters, averages."""
    good, bad = rules.valid_events(parsed, HISTORY), rules.dead_letters(parsed)
    moments = ("sold_at", "listed_at", "event_at", "recorded_at")
    good = good.withColumns({name: F.unix_micros(name) for name in moments})
    bad = bad.withColumn("recorded_at", F.unix_micros("recorded_at"))
    averages = transforms.average_price(rules.valid_events(parsed, HISTORY), "2 minutes", None)
    edges = {name: F.unix_micros(name) for name in ("window_start", "window_end")}
    rows = averages.withColumns(edges).sort("window_start", "decade")
    return good.sort("offset").collect(), bad.sort("offset").collect(), rows.collect()


def test_a_batch_that_is_evaluated_again_is_the_same(spark: SparkSession) -> None:
    values = [*GOOD, *[value for value, _reason in BAD]]
    first = outcome(parse(spark, *values))
    assert outcome(parse(spark, *values).repartition(5)) == first
    assert [len(part) > 0 for part in first] == [True] * 3


def test_only_a_time_without_a_zone_depends_on_the_session_which_is_in_utc(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    zoned = [value for value in GOOD if b"2026-11-22 12:00" not in record(value)[-1]]
    here = outcome(parse(spark, *zoned))
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        assert outcome(parse(spark, *zoned)) == here
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def sales(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    """Sales as (event_at seconds past noon or None, yr_built, price, event_id, offset)."""
    typed = [(None if s is None else NOON.timestamp() + s, y, str(p), e, o) for s, y, p, e, o in rows]
    frame = spark.createDataFrame(typed, "event_at double, yr_built int, price string, event_id string, offset bigint")
    return frame.select(
        F.timestamp_millis((F.col("event_at") * 1000).cast("bigint")).alias("event_at"),
        "yr_built",
        F.col("price").cast("decimal(12,2)").alias("price"),
        "event_id",
        "offset",
        F.lit("houses").alias("topic"),
        F.lit(0).alias("partition"),
        F.timestamp_millis((F.col("offset") + 1_000_000) * 1000).alias("recorded_at"),
    )


def test_averages_are_per_window_and_decade_and_divided_once(spark: SparkSession) -> None:
    frame = sales(
        spark,
        [
            (0, 1955, "0.10", "a", 0),
            (119.999, 1959, "0.20", "b", 1),  # last moment of the window
            (120, 1955, "1.00", "c", 2),  # the next window
            (0, 1960, "7.77", None, 3),  # the next decade
            (None, 1955, "9.99", None, 4),  # initial history: in no window
        ],
    )
    got = transforms.average_price(frame, "2 minutes").select(
        "window_start", "decade", "avg_price", "sales", "sum_cents"
    )
    noon, later = NOON, NOON + timedelta(minutes=2)
    expected = spark.createDataFrame(
        [(noon, 1950, 30 / 200, 2, 30), (later, 1950, 1.0, 1, 100), (noon, 1960, 7.77, 1, 777)],
        "window_start timestamp, decade int, avg_price double, sales bigint, sum_cents bigint",
    )
    assert_df_equality(got, expected, ignore_row_order=True, ignore_nullable=True)


def test_sliding_windows_count_a_sale_in_each_window_it_falls_into(spark: SparkSession) -> None:
    got = transforms.average_price(sales(spark, [(65, 1955, "1.00", "a", 0)]), "2 minutes", "1 minute").collect()
    assert sorted(row["window_start"].minute for row in got) == [0, 1]
