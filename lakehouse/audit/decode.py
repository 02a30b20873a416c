"""Decodes records by a domain's decoder; digests of what a dead letter must contain."""

import hashlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit.contract import Audit
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.reader import Record

KEPT_BYTES = 4 * 1024 * 1024  # of a value in a dead letter


@dataclass(frozen=True)
class DecodedRecords:
    """What a decoder made of records: rows of the history, refused offsets with the reason, all offsets.

    `digests` says what a dead letter must contain, for the offsets that have one.
    """

    rows: pa.Table
    refused: dict[int, str]
    digests: dict[int, bytes]
    offsets: list[int]


def decode_records(
    declared: Audit, where: TopicPartition, records: Sequence[Record], letters: Container[int]
) -> DecodedRecords:
    """Decode by the domain's own decoder; `letters` are the offsets with a dead letter."""
    decoded = declared.decode(where, records)
    digests = {
        record.offset: digest(record.millis * 1000, record.key, _kept(record.value))
        for record in records
        if record.offset in letters
    }
    return DecodedRecords(decoded.rows, decoded.refused, digests, [record.offset for record in records])


def join(schema: pa.Schema, parts: Sequence[DecodedRecords], first: int) -> DecodedRecords:
    """The parts as one, from the offset `first` on."""
    rows = pa.concat_tables([schema.empty_table(), *(part.rows for part in parts)]).combine_chunks()
    refused = {offset: why for part in parts for offset, why in part.refused.items()}
    digests = {offset: found for part in parts for offset, found in part.digests.items()}
    offsets = [offset for part in parts for offset in part.offsets]
    if offsets and offsets[0] < first:
        offsets = [offset for offset in offsets if offset >= first]
        rows = rows.filter(pc.greater_equal(rows["offset"], first))
    return DecodedRecords(rows, refused, digests, offsets)


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
