"""Reads many JSON records at once as columns, by Arrow's reader, for the audits' own decoders.

Arrow takes a record whose fields are of the types in the schema, each there once. What it does not take, it gives no
row for but an error; then smaller parts are read, until what is left is for a decoder of single records.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.json as pj

from lakehouse.audit.json_records import DEEPEST, LARGEST
from lakehouse.kafka.reader import Record

FEWEST = 32  # records that are worth columns
LOOSE = (b"\x00", b"NaN", b"Inf")  # Arrow ends at a zero byte, and takes NaN and Infinity for numbers
Part = tuple[pa.Table | None, Sequence[Record]]


def read(records: Sequence[Record], schema: pa.Schema) -> Iterator[Part]:
    """The records in parts, in their order, each with a table of its fields; None where they are to be read singly.

    A field that a record lacks is null. Fields that are not in the schema are not looked at.
    """
    if not records:
        return
    table = _table([record.value for record in records], schema) if len(records) >= FEWEST else None
    if table is not None or len(records) < 2 * FEWEST:
        yield table, records
        return
    half = len(records) // 2
    yield from read(records[:half], schema)
    yield from read(records[half:], schema)


def _table(values: Sequence[bytes | None], schema: pa.Schema) -> pa.Table | None:
    """The values as rows; None when one of them is not a plain object with fields of these types."""
    if None in values or not _are_plain(lines := b"\n".join(values), len(values)):  # type: ignore[arg-type]
        return None
    parsing = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    reading = pj.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    try:
        lines.decode()
        table = pj.read_json(pa.BufferReader(lines), reading, parsing)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if table.num_rows != len(values) or max(map(len, values)) > LARGEST:  # type: ignore[arg-type]
        return None
    return table.combine_chunks()


def _are_plain(lines: bytes, count: int) -> bool:
    """Whether there are as many lines, each in braces and without what Arrow reads more loosely than JSON allows."""
    if lines[:1] != b"{" or lines[-1:] != b"}" or any(text in lines for text in LOOSE):
        return False
    nested = lines.count(b"{") + lines.count(b"[") - count
    return lines.count(b"}\n{") == lines.count(b"\n") == count - 1 and nested < DEEPEST
