"""Times as senders write them: what each form is, and what a number of another unit looks like."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.events import times

FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FORMS = {
    "2026-11-22T12:00:00Z": 0,
    "2026-11-22T12:00:00.123456Z": 0.123456,
    "2026-11-22T12:00:00.123456789Z": 0.123456,
    "2026-11-22T12:00:00,123Z": 0.123,
    "2026-11-22t12:00:00z": 0,
    "2026-11-22 12:00:00": 0,
    "2026-11-22 12:00": 0,
    "20261122T120000Z": 0,
    "20261122T1200": 0,
    "2026-11-22T120000,5+0000": 0.5,
    "2026-11-22T13:30:00+01:30": 0,
    "2026-11-22T13:30:00+0130": 0,
    "2026-11-22T11:00:00-01": 0,
    "2026-11-22 12:00:00.25+00": 0.25,
    "2026-11-23T06:00:00+18:00": 0,
}
NONE = [
    *("", "noon", "2026-11-22", "20261122", "2026-11-22T12", "2026-11-22T12:00:00Z\n", " 2026-11-22T12:00:00Z"),
    *("2026-1122T12:00", "202611-22T12:00", "2026-11-22T12:0000", "2026-11-22T1200:00", "2026-11-22T12:00+01:"),
    *("2026-02-30T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T12:60:00Z", "2026-11-22T12:00:60Z"),
    *("2026-11-22T12:00:00+18:01", "2026-11-22T12:00:00+01:60", "2026-11-22T12:00:00.Z", "2026-11-22  12:00:00"),
    *("0000-01-01T00:00:00Z", "1899-12-31T23:59:59Z", "2200-01-01T00:00:00.000001Z", "٢026-11-22T12:00:00Z"),
]


def micros(at: datetime) -> int:
    return (at - times.EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize("text", FORMS)
def test_a_text_is_an_instant_in_utc_where_it_names_no_zone(text: str) -> None:
    assert times.micros_of_text(text) == micros(NOON + timedelta(seconds=FORMS[text]))


@pytest.mark.parametrize("text", NONE)
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(times.NoTime):
        times.micros_of_text(text)


@pytest.mark.parametrize("text", ["2014-10-13", "20141013", "20141013T000000", "2014-10-13 00:00:00"])
def test_a_day_is_its_first_instant_where_days_are_taken(text: str) -> None:
    assert times.micros_of_text(text, day_is_taken=True) == micros(datetime(2014, 10, 13, tzinfo=UTC))


@given(st.integers(micros(FIRST), micros(LAST)).map(lambda at: times.EPOCH + timedelta(microseconds=at)))
def test_what_we_write_is_read_again_and_as_milliseconds_too(at: datetime) -> None:
    assert times.micros_of_text(times.text_of(micros(at))) == micros(at)
    assert times.micros_of_text(at.isoformat()) == micros(at)
    if at.year >= 1971:
        assert times.micros_of_number(Decimal(micros(at)) / 1000) == micros(at)


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        ("1795348800", "seconds"),
        ("1795348800.25", "seconds"),
        ("1795348800000000", "microseconds"),
        ("1795348800000000000", "nanoseconds"),
    ],
)
def test_a_number_of_another_unit_is_no_time_and_says_what_it_looks_like(number: str, seen: str) -> None:
    with pytest.raises(times.NoTime, match=f"^a number that looks like {seen}$"):
        times.micros_of_number(Decimal(number))


def test_digits_beyond_a_microsecond_are_cut_off() -> None:
    assert times.micros_of_number(Decimal("1795348800000.1239999")) == micros(NOON) + 123
    assert times.micros_of_number(Decimal("-1000.0001")) == -1_000_001
