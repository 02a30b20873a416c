"""What `lake audit example` needs: a decoder of its own, and what the totals are made of.

The rules are written a second time here, in plain Python from the bytes: where they and transforms.py differ, the audit
says so.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from jobs.example.schema import DEAD_LETTERS, HISTORY, TOTALS, TOTALS_BATCH, TOTALS_BATCHES, WINDOW
from lakehouse.audit import json_records
from lakehouse.audit.contract import Audit, Decoded, Windows
from lakehouse.audit.json_records import NoEvent, refuse
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.reader import Record

AHEAD = timedelta(minutes=5)
YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def event(record: Record) -> dict[str, Any]:
    """The event in a record. Raises NoEvent when there is none."""
    raw = json_records.read_object(record)
    at, recorded = raw.get("happened_at"), json_records.recorded_at(record)
    event_at = recorded if at is None else json_records.time_of(json_records.text_of(at) or "")
    if not YEAR_2000 <= event_at <= recorded + AHEAD:
        refuse("happened_at")
    quantity = json_records.whole_of(raw, "quantity")
    if quantity is None or abs(quantity) > 1_000_000:
        refuse("quantity")
    event_id = None if raw.get("event_id") is None else _id(raw, "event_id")
    happened_at = None if at is None else event_at
    return {
        "event_id": event_id,
        "id": _id(raw, "id"),
        "quantity": quantity,
        "happened_at": happened_at,
        "event_at": event_at,
    }


def _id(raw: Mapping[str, Any], name: str) -> str:
    text = json_records.id_of(raw, name)
    return text if _ID.fullmatch(text) else refuse(name)


def decode(where: TopicPartition, records: Sequence[Record]) -> Decoded:
    """The records' events as rows of HISTORY, and why the others are none."""
    rows, refused = [], {}
    for record in records:
        place = {"topic": where[0], "partition": where[1], "offset": record.offset}
        try:
            rows.append({**event(record), **place, "recorded_at": json_records.recorded_at(record)})
        except NoEvent as reason:
            refused[record.offset] = str(reason)
    return Decoded(pa.Table.from_pylist(rows, schema=HISTORY.arrow_schema), refused)


def facts(events: pa.Table) -> pa.Table:
    """Event time, id and quantity of rows of the history."""
    columns = {"event_at": events["event_at"].cast(pa.int64()), "group": events["id"]}
    return pa.table({**columns, "amount": events["quantity"].cast(pa.int64())})


def values(count: int, total: int) -> dict[str, Any]:
    """A total's columns from the number of events and the sum of their quantities."""
    return {"events": count, "sum_quantity": total, "avg_quantity": total / count}


AUDIT = Audit(
    query="history",
    history=HISTORY,
    dead_letters=DEAD_LETTERS,
    decode=decode,
    windows=(
        Windows(
            speed=TOTALS,
            batch_log=TOTALS_BATCHES,
            batch=TOTALS_BATCH,
            query="totals",
            window=WINDOW,
            group="id",
            event_id="event_id",
            columns=("id", "quantity", "event_at"),
            facts=facts,
            values=values,
        ),
    ),
)
