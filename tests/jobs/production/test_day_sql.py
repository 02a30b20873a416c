"""Production days and hours: Spark, PostgreSQL, the audit and a walk through the clock's minutes say the same."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.production import day_sql
from jobs.production.audit import day_of
from jobs.production.plant import Plant, plant

# Half an hour of summer time, a half-hour zone, both halves of the globe, a change at midnight, a day that never was.
ZONES = (
    "UTC",
    "America/Los_Angeles",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Pacific/Apia",
)
STARTS = ("06:00", "00:00", "01:30", "02:00", "23:45")
CHANGES = {
    "America/Los_Angeles": ("2026-03-08 10:00", "2026-11-01 09:00"),
    "Europe/Berlin": ("2026-03-29 01:00", "2026-10-25 01:00"),
    "Australia/Lord_Howe": ("2026-10-03 15:30", "2026-04-04 15:00"),
    "Asia/Beirut": ("2026-03-28 22:00", "2026-10-24 21:00"),
    "Pacific/Apia": ("2011-12-30 10:00",),
}
HOUR = timedelta(hours=1)
NOON_2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def moment(change: str, minutes: float) -> datetime:
    return datetime.fromisoformat(change).replace(tzinfo=UTC) + timedelta(minutes=minutes)


instants = st.integers(0, 45 * 365 * 86_400_000).map(lambda millis: NOON_2000 + timedelta(milliseconds=millis))
near = st.builds(
    moment, st.sampled_from([at for times in CHANGES.values() for at in times]), st.floats(-26 * 60, 26 * 60)
)


def of(zone: str, starts: str = "06:00") -> Plant:
    return plant().model_copy(update={"time_zone": zone, "day_starts": starts})


def expected(at: datetime, described: Plant) -> tuple[date, datetime]:
    """Day and hour by the audit's rule; an hour is so many whole ones after the day's start."""
    day = day_of(at, described)
    begins = datetime.combine(day, time.fromisoformat(described.day_starts), ZoneInfo(described.time_zone))
    return day, begins.astimezone(UTC) + (at - begins.astimezone(UTC)) // HOUR * HOUR


def sql(described: Plant, column: str = "counted_at") -> str:
    return f"{day_sql.day(column, described)} AS day, {day_sql.hour(column, described)} AS hour"


LENGTHS = [
    ("Europe/Berlin", "06:00", date(2026, 3, 28), 23),
    ("Europe/Berlin", "06:00", date(2026, 10, 24), 25),
    ("Europe/Berlin", "02:30", date(2026, 3, 28), 24),  # begins at 03:30: 02:30 is skipped
    ("Europe/Berlin", "02:30", date(2026, 3, 29), 23),
    ("Europe/Berlin", "02:30", date(2026, 10, 25), 25),  # from the first 02:30 on
    ("Australia/Lord_Howe", "06:00", date(2026, 4, 4), 24.5),
    ("Australia/Lord_Howe", "06:00", date(2026, 10, 3), 23.5),
    ("Asia/Kolkata", "06:00", date(2026, 3, 28), 24),
    ("Pacific/Apia", "06:00", date(2011, 12, 30), 0),
]


@pytest.mark.parametrize(("zone", "starts", "day", "length"), LENGTHS)
def test_a_day_is_as_long_as_the_clock_makes_it(zone: str, starts: str, day: date, length: float) -> None:
    described = of(zone, starts)
    first, following = (day_sql.begin(one, starts, zone) for one in (day, day + timedelta(days=1)))
    assert following - first == length * HOUR
    assert day_of(following, described) == day + timedelta(days=1)
    if length:
        assert [day_of(at, described) for at in (first, following - timedelta(microseconds=1))] == [day, day]


@pytest.fixture(scope="module")
def connection(postgres_server: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_server, options="-c timezone=UTC") as connection:
        yield connection


@settings(max_examples=150, deadline=None)
@given(at=st.one_of(instants, near), zone=st.sampled_from(ZONES), starts=st.sampled_from(STARTS))
def test_postgres_and_the_audit_cut_the_same_days_and_hours(
    connection: psycopg.Connection[Any], at: datetime, zone: str, starts: str
) -> None:
    described = of(zone, starts)
    query = f"SELECT {sql(described)} FROM (SELECT %s::timestamptz AS counted_at) AS one"
    assert connection.execute(query, [at]).fetchone() == expected(at, described)  # type: ignore[call-overload]


@pytest.mark.parametrize("zone", CHANGES)
def test_postgres_cuts_them_so_around_each_change_of_the_clock(connection: psycopg.Connection[Any], zone: str) -> None:
    times = [moment(at, minutes) for at in CHANGES[zone] for minutes in range(-26 * 60 - 1, 26 * 60, 13)]
    for starts in STARTS:
        described = of(zone, starts)
        query = (
            f"SELECT {sql(described)} FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS one (counted_at, n) ORDER BY n"
        )
        found = connection.execute(query, [times]).fetchall()  # type: ignore[call-overload]
        assert found == [expected(at, described) for at in times]


@pytest.mark.spark
def test_spark_cuts_them_so_too(spark: Any) -> None:
    changes = [at for times in CHANGES.values() for at in times]
    moments = [moment(at, minutes) for at in changes for minutes in range(-26 * 60 - 1, 26 * 60, 29)]
    described = [
        of("Europe/Berlin", "02:30"),
        of("Australia/Lord_Howe"),
        of("Asia/Kolkata"),
        of("Asia/Beirut", "00:00"),
    ]
    frame = spark.createDataFrame([(at.timestamp(),) for at in moments], "at double")
    columns = [
        f"date_diff({day_sql.day('counted_at', one)}, DATE '1970-01-01') AS day{number}, "
        f"unix_seconds({day_sql.hour('counted_at', one)}) AS hour{number}"
        for number, one in enumerate(described)
    ]
    frame.selectExpr("timestamp_micros(CAST(at * 1e6 AS bigint)) AS counted_at").createOrReplaceTempView("moments")
    for number, one in enumerate(described):
        rows = spark.sql(f"SELECT {columns[number]} FROM moments").collect()
        wanted = [expected(at, one) for at in moments]
        assert [tuple(row) for row in rows] == [
            ((day - date(1970, 1, 1)).days, int(hour.timestamp())) for day, hour in wanted
        ], one.begins
