"""Which offsets earlier audits have read. For records that retention has removed they are the only proof."""

from collections.abc import Sequence
from dataclasses import replace

from lakehouse.audit.results import AuditedRange
from lakehouse.kafka.offset_ranges import OffsetRanges

MOST_GAPS = 10_000  # ranges without a record that are kept per partition


def audited_below(audited: Sequence[AuditedRange], start: int) -> list[AuditedRange]:
    """The parts of the audited ranges below `start`, which the topic no longer has."""
    return [replace(each, end=min(each.end, start)) for each in audited if each.start < min(each.end, start)]


def covered(earlier: Sequence[AuditedRange], new: AuditedRange, start: int) -> list[AuditedRange]:
    """Which audit speaks for which offsets: `new` for all it could read, earlier ones below `start`."""
    kept = audited_below(earlier, start)
    return [*kept, new] if new.start < new.end and len(new.gaps or ()) <= MOST_GAPS else kept


def audited_offsets(audited: Sequence[AuditedRange]) -> OffsetRanges:
    """All offsets that an audit has read."""
    return OffsetRanges((each.start, each.end) for each in audited)


def audited_records(audited: Sequence[AuditedRange]) -> OffsetRanges:
    """The offsets that had a record when an audit read them."""
    records = OffsetRanges()
    for each in audited:
        records |= OffsetRanges.of(each.start, each.end) - OffsetRanges(each.gaps or ())
    return records


def uncovered(audited: Sequence[AuditedRange], start: int) -> OffsetRanges:
    """The offsets below `start` that no audit has read."""
    return audited_offsets(audited).gaps(0, start)
