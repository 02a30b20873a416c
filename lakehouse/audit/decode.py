"""Decodes records by a domain's decoder, here or in other processes; digests of what a dead letter must contain."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit import contract
from lakehouse.events.record import KEPT_BYTES
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.reader import Record


@dataclass(frozen=True)
class DecodedRecords:
    """What a decoder made of records: rows of the history, refused offsets with reason and digest, all offsets."""

    rows: pa.Table
    refused: dict[int, tuple[str, bytes]]
    offsets: list[int]


def decode_records(name: str, where: TopicPartition, records: Sequence[Record]) -> DecodedRecords:
    """Decode by the domain's own decoder; refused records get a digest of what the dead letter must contain."""
    decoded = contract.audit(name).decode(where, records)
    refused = {
        record.offset: (decoded.refused[record.offset], digest(record.millis * 1000, record.key, _kept(record.value)))
        for record in records
        if record.offset in decoded.refused
    }
    return DecodedRecords(decoded.rows, refused, [record.offset for record in records])


def join(schema: pa.Schema, parts: Sequence[DecodedRecords], first: int) -> DecodedRecords:
    """The parts as one, from the offset `first` on."""
    rows = pa.concat_tables([schema.empty_table(), *(part.rows for part in parts)]).combine_chunks()
    refused = {offset: why for part in parts for offset, why in part.refused.items()}
    offsets = [offset for part in parts for offset in part.offsets if offset >= first]
    return DecodedRecords(rows.filter(pc.greater_equal(rows["offset"], first)), refused, offsets)


def _kept(value: bytes | None) -> bytes | None:
    """What a dead letter keeps of a value."""
    return value and value[:KEPT_BYTES]


def digest(micros: int, key: bytes | None, value: bytes | None) -> bytes:
    """A short digest of a record's time, key and value."""
    digested = hashlib.blake2b(repr(micros).encode(), digest_size=16)
    for part in (key, value):
        digested.update(b"none" if part is None else b"%d:" % len(part) + part)
    return digested.digest()


def digests(rows: pa.Table) -> Iterator[tuple[TopicPartition, int, bytes]]:
    """Topic and partition, offset and digest of dead letters."""
    wheres = zip(rows["topic"].to_pylist(), rows["partition"].to_pylist(), strict=True)
    places = rows["offset"].to_pylist()
    times = rows["recorded_at"].cast(pa.int64()).to_pylist()
    for where, place, at, key, value in zip(wheres, places, times, rows["key"], rows["value"], strict=True):
        yield where, place, digest(at, key.as_py(), value.as_py())


def helpers() -> ProcessPoolExecutor:
    """Processes that decode, at a lower priority than the streams beside them."""
    count = max(1, min(4, os.cpu_count() or 1))
    return ProcessPoolExecutor(count, get_context("spawn"), initializer=os.nice, initargs=(5,))
