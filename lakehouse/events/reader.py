"""Kafka records as typed events, in Spark: decoded by their contract in Arrow batches, in Python workers."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.contract.standard_tables import COORDINATES
from lakehouse.events.contract import EventContract
from lakehouse.events.decoder import REASON, decoder_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RECORD = {**COORDINATES, "key": "BINARY", "value": "BINARY"}
PLACE = tuple(COORDINATES)


def read_events(
    records: "DataFrame", contract: EventContract, names: Sequence[str] = (), keep: Sequence[str] = tuple(RECORD)
) -> "DataFrame":
    """One row per record: the event's columns `names` (all without any), `reason`, and what of the record is kept.

    `reason` is null for a valid event; else the first rule that the record breaks, and the event's columns are null.
    """
    names = tuple(names or contract.columns)
    given = records.withColumnRenamed("timestamp", "recorded_at").select(*dict.fromkeys([*keep, "value"]))
    kinds = {**RECORD, **contract.columns, REASON: "STRING"}
    schema = ", ".join(f"`{name}` {kinds[name]}" for name in [*keep, *names, REASON])
    return given.mapInArrow(functools.partial(_decoded, contract=contract, names=names, keep=tuple(keep)), schema)


def _decoded(
    batches: Iterable[pa.RecordBatch], contract: EventContract, names: tuple[str, ...], keep: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    decoder = decoder_of(contract, names)
    for batch in batches:
        kept = {name: batch.column(name) for name in keep}
        yield pa.RecordBatch.from_pydict({**kept, **decoder.decode(batch.column("value"))})
