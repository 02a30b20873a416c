"""What `lake audit houses` needs: a decoder of its own, and what the averages are made of.

Nearly every record is usual: the fields of the producer, each of its usual type and within its bounds. Those are
decoded in columns. Every other record goes through audit_rules.py, one at a time.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobs.houses import audit_rules
from jobs.houses.schema import AVERAGES, AVERAGES_BATCH, AVERAGES_BATCHES, DEAD_LETTERS, HISTORY, WINDOW
from lakehouse.audit import json_columns
from lakehouse.audit.contract import Audit, Decoded, Windows
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.reader import Record

USUAL_TEXTS = {"id": r"^[A-Za-z1-9_-][A-Za-z0-9_-]{0,63}$", "event_id": r"^[A-Za-z0-9_:-]{1,128}$"}
USUAL_TIMES = pa.array([20, 24, 27], pa.int32())  # bytes of a time in UTC, to the second, milli- or microsecond
TYPES = {"money": pa.float64(), "real": pa.float64(), "whole": pa.int32(), "flag": pa.int32()}
USUAL = pa.schema(
    [
        *((name, pa.string()) for name in (*USUAL_TEXTS, *audit_rules.TIMES)),
        *((name, TYPES[kind]) for name, (kind, *_rest) in audit_rules.NUMBERS.items()),
    ]
)
SCHEMA = HISTORY.arrow_schema
MICROS = pa.timestamp("us", tz="UTC")
NEAR = 0.001  # of a cent: so near to half a cent the exact rule decides
Mask = npt.NDArray[np.bool_]
Columns = Mapping[str, Any]


def decode(where: TopicPartition, records: Sequence[Record]) -> Decoded:
    """The records' sales as rows of HISTORY, and why the others are none."""
    tables, odd = [], []
    for given, part in json_columns.read(records, USUAL):
        table, usual = (None, np.zeros(len(part), dtype=bool)) if given is None else _usual(where, given, part)
        tables += [] if table is None else [table]
        odd += [part[number] for number in np.flatnonzero(~usual).tolist()]
    if not odd:
        return Decoded(pa.concat_tables([SCHEMA.empty_table(), *tables]), {})
    table, refused = _one_by_one(where, odd)
    return Decoded(pa.concat_tables([*tables, table]).sort_by("offset"), refused)


def _usual(where: TopicPartition, given: pa.Table, records: Sequence[Record]) -> tuple[pa.Table | None, Mask]:
    """The usual sales among the records, as rows, and which those are."""
    recorded = np.array([record.millis for record in records], dtype=np.int64) * 1000
    matches = [_matches(given[name], pattern, name == "id") for name, pattern in USUAL_TEXTS.items()]
    matches += [_are_times(given[name]) for name in audit_rules.TIMES]
    usual: Mask = np.logical_and.reduce([*matches, *(_within(given[name], name) for name in audit_rules.NUMBERS)])
    try:
        times = {name: pc.if_else(usual, given[name], None).cast(MICROS) for name in audit_rules.TIMES}
    except pa.ArrowInvalid:  # a day that there is not
        return None, np.zeros(len(records), dtype=bool)
    event_at = times["sold_at"].cast(pa.int64()).fill_null(0).to_numpy()
    event_at = np.where(times["sold_at"].is_null().to_numpy(), recorded, event_at)
    usual &= (event_at >= audit_rules.YEAR_2000) & (event_at <= recorded + audit_rules.AHEAD)
    price, sure = _cents(np.where(usual, given["price"].fill_null(1).to_numpy(), 1))
    usual &= sure
    columns = {**{name: given[name] for name in USUAL.names}, **times, "price": price, "event_at": event_at}
    table = _table(where, columns, [record.offset for record in records], recorded)
    return table if usual.all() else table.filter(pa.array(usual)), usual


def _matches(texts: pa.ChunkedArray, pattern: str, needed: bool) -> Mask:
    matches: Mask = pc.match_substring_regex(texts, pattern).fill_null(not needed).to_numpy()
    return matches


def _are_times(texts: pa.ChunkedArray) -> Mask:
    """Whether what Arrow reads as a time is one as most senders write it; missing ones are."""
    lengths = pc.is_in(pc.binary_length(texts), USUAL_TIMES)
    times: Mask = pc.or_(texts.is_null(), pc.and_(lengths, pc.ends_with(texts, "Z"))).fill_null(False).to_numpy()
    return times


def _within(numbers: pa.ChunkedArray, name: str) -> Mask:
    _kind, needed, low, high = audit_rules.NUMBERS[name]
    within: Mask = (
        pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high)).fill_null(not needed).to_numpy()
    )
    return within


def _cents(amounts: npt.NDArray[np.float64]) -> tuple[pa.Array, Mask]:
    """Amounts with two decimals, and which of them are not near half a cent."""
    cents = amounts * 100
    exact = pa.array(np.rint(cents).astype(np.int64)).cast(pa.decimal128(19, 0))
    hundredth = pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))
    sure: Mask = np.abs(cents - np.floor(cents) - 0.5) > NEAR
    return pc.multiply(exact, hundredth).cast(pa.decimal128(12, 2)), sure


def _one_by_one(where: TopicPartition, records: Sequence[Record]) -> tuple[pa.Table, dict[int, str]]:
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
    known = {**given, "partition": np.full(count, partition), "offset": offsets, "recorded_at": recorded}
    known |= {"source": pa.repeat("stream", count), "topic": pa.repeat(topic, count)}
    columns = [_array(known.get(column.name), column.type, count) for column in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


def _array(values: Any, kind: pa.DataType, count: int) -> Any:
    if values is None:
        return pa.nulls(count, kind)
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values if values.type == kind else values.cast(kind)
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
