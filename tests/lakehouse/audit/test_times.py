"""Times as senders write them, against a table and against the datetimes that were written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.audit import json_records
from lakehouse.audit.json_records import Number

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = round(datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp() * 1_000_000)
NOONS = """2026-11-22T12:00:00Z|2026-11-22T12:00:00.000+00:00|2026-11-22T12:00:00+0000|2026-11-22T12:00:00+00|
2026-11-22 12:00:00|2026-11-22t12:00:00.000z|2026-11-22T12:00:00,000Z|20261122T120000Z|2026-11-22 12:00:00.000+00|
2026-11-22T12:00|20261122T1200|2026-11-22T1200-0000|20261122T12:00:00Z|2026-11-22T17:45:00+05:45|2026-11-22T06:00-06|
2026-11-23T06:00:00+18:00|2026-11-22T12:00:00.000000999Z|1795348800000|1795348800000.0|1.7953488E12|
1795348800000.00099""".replace("\n", "").split("|")
NO_TIMES = """|noon|2026-11-22|20261122T|2026-1122T12:00:00Z|202611-22T12:00|2026-11-22T12:0000|2026-11-22T1200:00|
2026-11-22T12|2026-11-22  12:00|2026-11-22T12:00:00.Z|2026-11-22T12:00:00.1234567890Z|2026-11-22T12:00:00 Z|
2026-11-22T12:00:00+1|2026-11-22T12:00:00+01:|2026-11-22T12:00:00+18:01|2026-11-22T12:00:00+00:60|
2026-11-22T24:00:00Z|2026-11-22T12:60:00Z|2026-11-22T12:00:60Z|2026-02-29T12:00:00Z|0000-01-01T00:00:00Z|
1899-12-31T23:59:59Z|2200-01-01T00:00:01Z|9999-12-31T23:59:59-01:00|2026-11-22T12:00:00Z\x00|
1795348800|1795348800.25|-1795348800|946684800|7258118400|1795348800000000|1795348800000000000|1e999|1e99999999999999999|
7258118400001| 1795348800000|+1795348800000|1_0|٣""".replace("\n", "").split("|")
NUMBERS = {
    "0": 0,
    "-1": -1000,
    "-0.0001": -1,
    "0.9999": 999,
    "1795348800000.25": NOON + 250,
    "946684799": 946_684_799_000,
    "7258118401": 7_258_118_401_000,
    "20261122": 20_261_122_000,
    "1e-999999999": 0,
}


def micros(text: str, day_is_taken: bool = False) -> int | None:
    try:
        return json_records.micros_of(text, day_is_taken)
    except json_records.NoEvent:
        return None


def test_all_these_are_the_same_noon() -> None:
    assert {text: micros(text) for text in NOONS} == dict.fromkeys(NOONS, NOON)


@pytest.mark.parametrize("text", NO_TIMES)
def test_these_are_no_times(text: str) -> None:
    assert micros(text) is None


def test_numbers_are_milliseconds_and_what_is_finer_than_microseconds_is_cut_off() -> None:
    assert {text: micros(text) for text in NUMBERS} == NUMBERS
    assert {text: micros(Number(text)) for text in NUMBERS} == NUMBERS


def test_a_day_is_taken_where_it_may_be() -> None:
    day = NOON - 43_200_000_000
    assert [micros(text, True) for text in ("2026-11-22", "20261122", "2026-11-22T00:00Z", "1795305600000")] == [
        day
    ] * 4
    assert micros(Number("20261122"), True) == 20_261_122_000
    assert [micros(text, True) for text in ("2026-1122", "2026-02-29", "22000102", "2026-11")] == [None] * 4


@given(
    st.datetimes(datetime.fromisoformat("1900-01-02"), datetime.fromisoformat("2199-12-30")),
    st.integers(-18 * 60, 18 * 60),
    st.sampled_from(["T", "t", " "]),
    st.booleans(),
)
def test_what_python_writes_is_that_instant(at: datetime, minutes: int, between: str, basic: bool) -> None:
    zoned = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    pattern = "%Y%m%d{}%H%M%S.%f%z" if basic else "%Y-%m-%d{}%H:%M:%S.%f%z"
    text = zoned.strftime(pattern.format(between)).rjust(len(zoned.strftime(pattern.format(between))), "0")
    expected = (zoned - EPOCH) // timedelta(microseconds=1)
    assert micros(text) == micros(zoned.isoformat()) == expected
