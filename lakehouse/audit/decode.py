"""A domain's decoder at work, here or in processes of their own, and digests of what a dead letter must hold."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import pyarrow as pa

from lakehouse.audit import contract
from lakehouse.kafka.reader import Record
from lakehouse.streaming.batch import KEPT_BYTES


@dataclass
class Judged:
    """What a decoder made of records: rows of the history, refused offsets with reason and digest, all offsets."""

    rows: list[pa.Table] = field(default_factory=list)
    refused: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)


def decode_records(name: str, partition: int, records: Sequence[Record]) -> Judged:
    """Decode by the domain's own decoder; refused records with a digest of what the dead letter must hold."""
    decoded = contract.audit(name).decode(partition, records)
    refused = {
        record.offset: (decoded.refused[record.offset], digest(record.millis * 1000, record.key, _kept(record.value)))
        for record in records
        if record.offset in decoded.refused
    }
    return Judged([decoded.rows], refused, [record.offset for record in records])


def _kept(value: bytes | None) -> bytes | None:
    """What a dead letter keeps of a value."""
    return value and value[:KEPT_BYTES]


def digest(micros: int, key: bytes | None, value: bytes | None) -> bytes:
    """A short digest of a record's time, key and value."""
    made = hashlib.blake2b(repr(micros).encode(), digest_size=16)
    for part in (key, value):
        made.update(b"none" if part is None else b"%d:" % len(part) + part)
    return made.digest()


def digests(rows: pa.Table) -> Iterator[tuple[int, int, bytes]]:
    """Partition, offset and digest of dead letters."""
    numbers, places = rows["partition"].to_pylist(), rows["offset"].to_pylist()
    times = rows["recorded_at"].cast(pa.int64()).to_pylist()
    for number, place, at, key, value in zip(numbers, places, times, rows["key"], rows["value"], strict=True):
        yield number, place, digest(at, key.as_py(), value.as_py())


def helpers() -> ProcessPoolExecutor:
    """Processes that decode, polite to the streams beside them."""
    count = max(1, min(4, os.cpu_count() or 1))
    return ProcessPoolExecutor(count, get_context("spawn"), initializer=os.nice, initargs=(5,))
