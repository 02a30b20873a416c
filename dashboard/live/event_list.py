"""A list of a domain's newest valid events, read from their topic: an event is on it before any table has it."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from lakehouse.contract.topics import Topic
from lakehouse.events import record
from lakehouse.events.contract import EventContract
from lakehouse.events.fields import Kind
from lakehouse.events.invalid import Invalid
from lakehouse.kafka.tail import Newest
from lakehouse.tables.table_io import Table

ROWS = 200
_ORDER = ["recorded_at", "partition", "offset"]  # as the newest rows of a table are ordered (lakehouse/tables/loads.py)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = (Kind.TIME, Kind.TIME_OR_DAY)
Row = dict[str, Any]
Place = tuple[int, int, int]


@dataclass(frozen=True)
class EventList:
    """The events of a topic as rows with these columns of the history; `columns` has the coordinates.

    `row` makes the columns of the history from the event's own columns and the record's time. It raises Invalid for
    an event that the domain's rules refuse.
    """

    topic: Topic
    contract: EventContract
    history: Table
    columns: tuple[str, ...]
    row: Callable[[Row, datetime], Row]


def columns_of(contract: EventContract, event: msgspec.Struct) -> Row:
    """The event's fields in the types of its columns: times are datetimes, amounts decimals."""
    row = {name: getattr(event, name) for name in contract.fields}
    for name, field in contract.fields.items():
        if row[name] is not None and field.kind in _TIMES:
            row[name] = datetime.fromisoformat(row[name])
        elif row[name] is not None and field.kind is Kind.MONEY:
            row[name] = Decimal(f"{row[name]:.2f}")
    return row


class NewestEvents:
    """The newest ROWS records of the topic, and the rows of those that are valid events; decoded when asked for."""

    def __init__(self, events: EventList) -> None:
        self._events = events
        self._schema = pa.schema([events.history.arrow_schema.field(name) for name in events.columns])
        self._lock = threading.Lock()
        self._records: dict[Place, Newest] = {}
        self._rows: dict[Place, Row | None] = {}
        self._frame: tuple[int, pd.DataFrame] = (-1, self._table([]))
        self.number = 0  # another one whenever there are other records

    def add(self, records: Iterable[Newest]) -> None:
        """Take in records, in any order and some perhaps again; all but the newest ROWS are dropped."""
        with self._lock:
            known = self._records
            found = known | {(one.millis, one.partition, one.offset): one for one in records}
            kept = sorted(found, reverse=True)[:ROWS]
            if kept != list(known):
                self._records = {place: found[place] for place in kept}
                self._rows = {place: self._rows[place] for place in kept if place in self._rows}
                self.number += 1

    def frame(self) -> pd.DataFrame:
        """The valid events, newest first, typed as the history's rows."""
        with self._lock:
            if self._frame[0] != self.number:
                for place, one in self._records.items():
                    if place not in self._rows:
                        self._rows[place] = self._row(one)
                self._frame = self.number, self._table([row for p in self._records if (row := self._rows[p])])
            return self._frame[1]

    def _row(self, one: Newest) -> Row | None:
        at = _EPOCH + timedelta(milliseconds=one.millis)
        try:
            event = record.read(self._events.contract, one.value)
            row = self._events.row(columns_of(self._events.contract, event), at)
        except Invalid:
            return None
        except Exception:  # one record must not empty the list
            logging.getLogger(__name__).exception("A record of %s cannot be shown.", self._events.topic.name)
            return None
        place = {"topic": self._events.topic.name, "partition": one.partition, "offset": one.offset}
        return row | place | {"recorded_at": at}

    def _table(self, rows: list[Row]) -> pd.DataFrame:
        frame: pd.DataFrame = pa.Table.from_pylist(rows, self._schema).to_pandas()
        return frame


def together(live: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """The newest ROWS events of topic and history, each once, newest first."""
    if live.empty or history.empty:
        return history if live.empty else live
    both = pd.concat([live, history[live.columns]], ignore_index=True)
    once = both.drop_duplicates([*_ORDER, "topic"])
    return once.sort_values(_ORDER, ascending=False, ignore_index=True).head(ROWS)
