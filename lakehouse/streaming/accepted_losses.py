"""The table of records that a user has accepted as lost: `lake rebuild --accept-loss` writes it, the audit reads it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from lakehouse.kafka.offset_ranges import OffsetRanges, PartitionRanges
from lakehouse.tables import table_io
from lakehouse.tables.table_io import HISTORY_PROPERTIES, Table


def lost_ranges(domain: str) -> Table:
    """The table; `end_offset` is exclusive, and null where nobody knows it."""
    columns = {"topic": "STRING", "partition": "INT", "start_offset": "BIGINT", "end_offset": "BIGINT"}
    return Table(
        domain,
        "lost_ranges",
        {**columns, "reason": "STRING", "accepted_at": "TIMESTAMP"},
        keys=("topic", "partition", "start_offset"),
        about="records that the topic no longer has and no table holds: given up by `lake rebuild --accept-loss`",
        properties=HISTORY_PROPERTIES,
        writer="deltalake",
    )


def accepted(domain: str) -> PartitionRanges:
    """The ranges that have been accepted as lost; those without a known end are left out."""
    pairs = defaultdict(list)
    for row in table_io.read(lost_ranges(domain), filters=[("end_offset", ">=", 0)]).to_pylist():
        pairs[row["topic"], row["partition"]].append((row["start_offset"], row["end_offset"]))
    return {where: OffsetRanges(ranges) for where, ranges in pairs.items()}


def accept(domain: str, lost: PartitionRanges, reason: str) -> None:
    """Add the ranges to the table, in one commit."""
    rows = [(*where, *each) for where, ranges in lost.items() for each in ranges]
    _append(domain, rows, reason)


def accept_unknown(domain: str, topic: str, ends: Mapping[int, int], reason: str) -> None:
    """Add that nobody knows how many records a topic has from these offsets of its partitions on."""
    _append(domain, [(topic, partition, end, None) for partition, end in ends.items()], reason)


def rename_topic(domain: str, topic: str, name: str) -> None:
    """Give the ranges of a topic that was made again another topic name: the new one has records at their offsets."""
    table = lost_ranges(domain)
    if table_io.exists(table):
        of_topic = "target.topic = source.topic AND target.end_offset IS NOT NULL"
        names = pa.table({"topic": [topic], "name": [name]})
        merge = table_io.create(table).merge(names, of_topic, source_alias="source", target_alias="target")
        merge.when_matched_update({"topic": "source.name"}).execute()


def retired_topics(domain: str) -> set[str]:
    """Topic names of which rows are kept although no query reads such a topic any more."""
    rows = table_io.read(lost_ranges(domain)).to_pylist()
    return {row["topic"] for row in rows if row["end_offset"] is None}


def _append(domain: str, ranges: Sequence[tuple[str, int, int, int | None]], reason: str) -> None:
    table, now = lost_ranges(domain), datetime.now(UTC)
    values = [dict(zip(table.columns, (*lost, reason, now), strict=True)) for lost in ranges]
    delta = table_io.create(table)
    table_io.append(delta, table_io.rows(table, values), "rebuild", delta.version() + 1)
