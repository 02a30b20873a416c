"""What `lake audit houses` needs: a decoder of its own, and what the averages are made of.

Nearly every record is plain: the fields of the producer, each of its usual type and within its bounds. Those are
decoded in columns. Every other record goes through audit_rules.py, one at a time.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobs.houses import audit_rules
from jobs.houses.schema import AVERAGES, AVERAGES_BATCH, AVERAGES_BATCHES, DEAD_LETTERS, HISTORY, WINDOW
from lakehouse.audit.contract import Audit, Decoded, Windows
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.reader import Record

FEWEST = 20  # records with the same fields that are worth columns
PLAIN_ID = r"^[A-Za-z1-9_-][A-Za-z0-9_-]{0,63}$"
PLAIN_TIME = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$"
TYPES: dict[str, set[type]] = {"money": {int, float}, "real": {int, float}, "whole": {int}, "flag": {int}}
SIMPLE = {str, int, float, bool, type(None)}
Mask = npt.NDArray[np.bool_]
Columns = dict[str, Any]


def _no_constant(name: str) -> None:
    raise ValueError(name)


_scan = json.JSONDecoder(parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]


class _OddError(Exception):
    """These records are not of the usual types."""


def decode(where: TopicPartition, records: Sequence[Record]) -> Decoded:
    """The records' sales as rows of HISTORY, and why the others are none."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    read: list[Any] = [None] * len(records)
    odd: list[int] = []
    for number, record in enumerate(records):
        event = _object(record.value)
        if event is None:
            odd.append(number)
        else:
            read[number] = event
            groups[tuple(event)].append(number)
    tables = []
    for names, numbers in groups.items():
        table, left = _plain(where, names, [read[n] for n in numbers], [records[n] for n in numbers])
        tables.append(table)
        odd += [numbers[n] for n in left]
    table, refused = _one_by_one(where, [records[number] for number in sorted(odd)])
    rows = pa.concat_tables([*tables, table]).sort_by("offset").combine_chunks()
    return Decoded(rows, refused)


def _object(value: bytes | None) -> dict[str, Any] | None:
    """The value as a JSON object; None where it is not surely one."""
    if value is None or not value.startswith(b"{") or not value.endswith(b"}"):
        return None
    try:
        text = value.decode()
        event, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    long = len(text) > audit_rules.LONGEST_NUMBER and audit_rules.LONG_NUMBER.search(text)
    return event if end == len(text) and len(value) <= audit_rules.LARGEST_VALUE and not long else None


def _plain(
    where: TopicPartition, names: tuple[str, ...], events: list[dict[str, Any]], records: list[Record]
) -> tuple[pa.Table, list[int]]:
    """The plain ones among records with the same fields as a table, and the numbers of the others."""
    everyone = list(range(len(records)))
    if len(records) < FEWEST or max(map(len, names), default=0) > audit_rules.LONGEST_NAME:
        return HISTORY.arrow_schema.empty_table(), everyone
    given = dict(zip(names, zip(*(event.values() for event in events), strict=True), strict=True))
    recorded = np.array([record.millis for record in records], dtype=np.int64) * 1000
    try:
        ok = _no_name_twice(given, records)
        columns: Columns = {
            "id": _texts(given, "id", ok, PLAIN_ID),
            "event_id": _texts(given, "event_id", ok, r"^.{1,99}$"),
        }
        for name in audit_rules.NUMBERS:
            columns[name] = _numbers(given, name, ok)
        for name in audit_rules.TIMES:
            columns[name] = _times(given, name, ok)
    except (_OddError, OverflowError, UnicodeEncodeError, ValueError):
        return HISTORY.arrow_schema.empty_table(), everyone
    sold = columns["sold_at"]
    columns["event_at"] = event_at = recorded if sold is None else sold
    ok &= (event_at >= audit_rules.YEAR_2000) & (event_at <= recorded + audit_rules.AHEAD)
    table = _table(where, columns, [record.offset for record in records], recorded)
    return table.filter(pa.array(ok)), np.flatnonzero(~ok).tolist()


def _no_name_twice(given: Mapping[str, Sequence[Any]], records: list[Record]) -> Mask:
    """True where the quotes in the record are those of its names and texts: then no name stands there twice."""
    for name in given.keys() - HISTORY.columns.keys():
        if not set(map(type, given[name])) <= SIMPLE - {str} and set(map(type, given[name])) != {str}:
            raise _OddError
    texts = sum(isinstance(column[0], str) for column in given.values())
    quotes = np.array([record.value.count(b'"') for record in records if record.value])
    once: Mask = quotes == 2 * (len(given) + texts)
    return once


def _column(given: Mapping[str, Sequence[Any]], name: str, types: set[type], needed: bool) -> Sequence[Any] | None:
    """The values of a field that all are of these types; None where no record has the field."""
    if name not in given:
        if needed:
            raise _OddError
        return None
    if not set(map(type, given[name])) <= types:
        raise _OddError
    return given[name]


def _texts(given: Mapping[str, Sequence[Any]], name: str, ok: Mask, pattern: str) -> pa.Array | None:
    column = _column(given, name, {str}, name == "id")
    if column is None:
        return None
    texts = pa.array(column, pa.string())
    ok &= pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return texts


def _numbers(given: Mapping[str, Sequence[Any]], name: str, ok: Mask) -> Any:
    kind, needed, low, high = audit_rules.NUMBERS[name]
    column = _column(given, name, TYPES[kind], needed)
    if column is None:
        return None
    numbers = np.array(column, dtype=np.int64 if TYPES[kind] == {int} else np.float64)
    ok &= (numbers >= low) & (numbers <= high)
    return _cents(numbers, ok) if kind == "money" else numbers


def _cents(amounts: npt.NDArray[Any], ok: Mask) -> pa.Array:
    """Amounts with two decimals; near half a cent the exact rule decides."""
    cents = np.where(ok, amounts, 1) * 100
    ok &= np.abs(cents - np.floor(cents) - 0.5) > 0.001
    exact = pa.array(np.rint(cents).astype(np.int64)).cast(pa.decimal128(19, 0))
    hundredth = pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))
    return pc.multiply(exact, hundredth).cast(pa.decimal128(12, 2))


def _times(given: Mapping[str, Sequence[Any]], name: str, ok: Mask) -> npt.NDArray[np.int64] | None:
    column = _column(given, name, {str}, needed=False)
    if column is None:
        return None
    ok &= pc.match_substring_regex(pa.array(column, pa.string()), PLAIN_TIME).to_numpy(zero_copy_only=False)
    moments = [datetime.fromisoformat(text[:-1]) if plain else None for text, plain in zip(column, ok, strict=True)]
    return np.array(moments, dtype="datetime64[us]").astype(np.int64)


def _one_by_one(where: TopicPartition, records: list[Record]) -> tuple[pa.Table, dict[int, str]]:
    sales, refused = [], {}
    for record in records:
        try:
            sales.append((audit_rules.sale(record.value, record.millis * 1000), record))
        except audit_rules.NoSale as reason:
            refused[record.offset] = str(reason)
    columns = {name: [sale[name] for sale, _ in sales] for name in HISTORY.columns if sales and name in sales[0][0]}
    recorded = [record.millis * 1000 for _, record in sales]
    return _table(where, columns, [record.offset for _, record in sales], recorded), refused


def _table(where: TopicPartition, given: Columns, offsets: Sequence[int], recorded: Sequence[int] | Any) -> pa.Table:
    (topic, partition), count = where, len(offsets)
    known = {**given, "partition": [partition] * count, "offset": offsets, "recorded_at": recorded}
    known |= {"source": ["stream"] * count, "topic": [topic] * count}
    columns = [_array(known.get(column.name), column.type, count) for column in HISTORY.arrow_schema]
    return pa.table(columns, schema=HISTORY.arrow_schema)


def _array(values: Any, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    if isinstance(values, pa.Array):
        return values
    return pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)


def facts(sales: pa.Table) -> pa.Table:
    """Event time, decade and price in cents of rows of the history."""
    years = sales["yr_built"].cast(pa.int64()).to_numpy()
    cents = pc.multiply(sales["price"], pa.scalar(Decimal(100), pa.decimal128(3, 0))).cast(
        pa.decimal128(16, 0), safe=False
    )
    columns = {"event_at": sales["event_at"].cast(pa.int64()), "group": years - years % 10}
    return pa.table({**columns, "amount": cents.cast(pa.int64())})


def values(count: int, total: int) -> dict[str, Any]:
    """An average's columns from the number of sales and the sum of their cents."""
    return {"sales": count, "sum_cents": total, "avg_price": total / (count * 100)}


AUDIT = Audit(
    query="history",
    history=HISTORY,
    dead_letters=DEAD_LETTERS,
    decode=decode,
    windows=(
        Windows(
            speed=AVERAGES,
            batch_log=AVERAGES_BATCHES,
            batch=AVERAGES_BATCH,
            query="averages",
            window=WINDOW,
            group="decade",
            event_id="event_id",
            columns=("yr_built", "price", "event_at"),
            facts=facts,
            values=values,
        ),
    ),
)
