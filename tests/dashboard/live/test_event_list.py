"""The list of newest events: bounded, valid events only, each once, newest first, typed as the history's rows."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from dashboard.live.event_list import ROWS, EventList, NewestEvents, together
from dashboard.pages.houses.source import SOURCE
from jobs.houses import schema
from lakehouse.kafka.tail import Newest
from lakehouse.tables import loads
from lakehouse.tables.reader import TableReader

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MILLIS = int(NOON.timestamp() * 1000)
FACTS = {"id": "0071", "price": "450000.005", "yr_built": 1994, "bedrooms": 3, "bathrooms": 2.5, "sqft_living": 1800}
FACTS |= {"sqft_lot": 5000, "floors": 2, "waterfront": 0, "view": 0}
assert SOURCE.events is not None
EVENTS: EventList = SOURCE.events


def sent(number: int, partition: int = 0, **changes: Any) -> Newest:
    """A sale that the broker had so many seconds after noon, at that offset."""
    return Newest(MILLIS + 1000 * number, partition, number, json.dumps(FACTS | changes).encode())


def shown(newest: NewestEvents) -> list[tuple[int, int]]:
    """Partition and offset of the rows."""
    frame = newest.frame()
    return list(zip(frame["partition"].tolist(), frame["offset"].tolist(), strict=True))


def test_only_the_newest_are_kept_and_only_those_shown_are_decoded() -> None:
    decoded: list[Any] = []

    def row(columns: dict[str, Any], at: datetime) -> dict[str, Any]:
        decoded.append(columns)
        return EVENTS.row(columns, at)

    newest = NewestEvents(replace(EVENTS, row=row))
    for first in range(0, 5_000, 1_000):
        newest.add(sent(number) for number in range(first, first + 1_000))
    assert shown(newest) == [(0, offset) for offset in range(4_999, 4_999 - ROWS, -1)]
    newest.add([sent(5_000)])
    assert shown(newest)[0] == (0, 5_000)
    assert len(decoded) == ROWS + 1
    assert len(newest._records) == len(newest._rows) == ROWS


def test_what_is_read_again_is_no_news() -> None:
    newest = NewestEvents(EVENTS)
    newest.add([sent(1), sent(2)])
    number = newest.number
    newest.add([sent(2), sent(1)])
    assert newest.number == number
    assert shown(newest) == [(0, 2), (0, 1)]


def test_order_is_by_time_then_partition_then_offset() -> None:
    newest = NewestEvents(EVENTS)
    newest.add([sent(1, partition=1), sent(3), sent(2)._replace(millis=MILLIS + 3000), sent(1)])
    assert shown(newest) == [(0, 3), (0, 2), (1, 1), (0, 1)]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"[]",
        json.dumps(FACTS | {"price": -1}).encode(),
        json.dumps({"id": "71"}).encode(),
        json.dumps(FACTS | {"sold_at": "2026-05-01T12:30:00Z"}).encode(),
        json.dumps(FACTS | {"sold_at": "1999-12-31T23:59:59Z"}).encode(),
    ],
)
def test_what_is_no_valid_event_is_not_listed(value: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    newest = NewestEvents(EVENTS)
    newest.add([sent(1), sent(2)._replace(value=value)])
    assert shown(newest) == [(0, 1)]
    assert not caplog.records  # a dead letter is nothing that the dashboard logs


def test_a_record_that_breaks_the_rules_of_its_domain_empties_no_list() -> None:
    def broken(columns: dict[str, Any], at: datetime) -> dict[str, Any]:
        return EVENTS.row(columns | ({"sold_at": 3} if columns["zipcode"] == 1 else {}), at)

    newest = NewestEvents(replace(EVENTS, row=broken))
    newest.add([sent(1), sent(2, zipcode=1)])
    assert shown(newest) == [(0, 1)]


def test_rows_are_as_the_history_has_them(write: Callable[..., None]) -> None:
    newest = NewestEvents(EVENTS)
    newest.add([sent(1, sold_at="2026-05-01T14:00:00+02:00", zipcode="98103")])
    at = NOON + timedelta(seconds=1)
    same = FACTS | {"id": "71", "price": Decimal("450000.01"), "zipcode": 98103}
    same |= {"event_at": NOON, "sold_at": NOON, "source": "stream"}
    write(schema.HISTORY, same | {"topic": "houses", "partition": 0, "offset": 1, "recorded_at": at})
    written = TableReader(schema.HISTORY, loads.newest(ROWS, EVENTS.columns)).read()
    pd.testing.assert_frame_equal(newest.frame(), written.frame)


def test_an_event_in_topic_and_history_is_listed_once() -> None:
    live, history = NewestEvents(EVENTS), NewestEvents(EVENTS)
    live.add([sent(number) for number in range(100, 200)])
    history.add([sent(number) for number in range(150)])
    rows = together(live.frame(), history.frame())
    assert rows["offset"].tolist() == list(range(199, -1, -1))


def test_a_topic_made_again_has_other_events_at_the_same_offsets() -> None:
    live, history = NewestEvents(EVENTS), NewestEvents(EVENTS)
    live.add([sent(1)._replace(millis=MILLIS + 60_000)])
    history.add([sent(1), sent(2)])
    assert together(live.frame(), history.frame())["offset"].tolist() == [1, 2, 1]
