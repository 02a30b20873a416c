"""Compares one slice of the topics with its rows: the work that the processes of an audit share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit import contract
from lakehouse.audit.decode import DecodedRecords, decode_records, digests, join
from lakehouse.audit.pinned import TableVersion, by_partition, within
from lakehouse.audit.record_checks import DeadLetter, PartitionAudit, since
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import OffsetRange, Offsets, TopicPartition
from lakehouse.kafka.reader import TopicReader

Ranges = Mapping[TopicPartition, OffsetRange]
Letters = Mapping[TopicPartition, list[DeadLetter]]


@dataclass(frozen=True)
class Setting:
    """What is the same for all slices of an audit: the domain, its broker, the pinned versions of its tables.

    `columns` are those that its views need of a row of the history.
    """

    domain: str
    bootstrap_servers: str
    history: int
    dead_letters: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """A partition's part of a slice: what its audit found, and for views the events as decoded and as stored.

    Only rows that an earlier version wrote, and those that retention removed meanwhile, are given as stored.
    """

    audit: PartitionAudit
    decoded: pa.Table
    stored: pa.Table


class SliceCheck:
    """Compares slices; close it when done."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._declared = contract.audit(setting.domain)
        self._history = TableVersion(self._declared.history, setting.history)
        self._dead_letters = TableVersion(self._declared.dead_letters, setting.dead_letters)
        self._reader = TopicReader(setting.bootstrap_servers)

    def close(self) -> None:
        """Close the connection to the broker."""
        self._reader.close()

    def check(self, parts: Sequence[PartitionAudit]) -> list[Checked]:
        """Compare the offsets of the parts, which are of different partitions; the topic still has them."""
        ranges = {part.place: OffsetRange(part.start, part.end) for part in parts}
        history = by_partition(self._history.read(list(self._declared.history.columns), within(ranges)))
        letters = self._letters(ranges)
        decoded = self._decode(ranges, letters)
        firsts = self._firsts(ranges, decoded)
        return [self._compare(each, firsts, decoded, history, letters) for each in parts]

    def _letters(self, ranges: Ranges) -> Letters:
        letters: dict[TopicPartition, list[DeadLetter]] = {place: [] for place in ranges}
        columns = ["topic", "partition", "offset", "recorded_at", "key", "value"]
        for rows in self._dead_letters.scan(columns, within(ranges)):
            for place, offset, digest in digests(rows):
                letters[place].append((offset, digest))
        return letters

    def _decode(self, ranges: Ranges, letters: Letters) -> Mapping[TopicPartition, list[DecodedRecords]]:
        """What the decoder makes of the records, some thousand at a time: only one such part is in memory as bytes."""
        decoded: dict[TopicPartition, list[DecodedRecords]] = {place: [] for place in ranges}
        dead = {place: {offset for offset, _digest in each} for place, each in letters.items()}
        for place, records in self._reader.read(ranges):
            decoded[place].append(decode_records(self._declared, place, records, dead[place]))
        return decoded

    def _firsts(self, ranges: Ranges, decoded: Mapping[TopicPartition, list[DecodedRecords]]) -> Offsets:
        """The first offset of each range that the topic had when it was read: retention goes on beside an audit."""
        firsts = {
            place: min((part.offsets[0] for part in decoded[place]), default=end)
            for place, (_start, end) in ranges.items()
        }
        shorter = [place for place, (start, _end) in ranges.items() if firsts[place] > start]
        now = topics.starts(self._setting.bootstrap_servers, shorter) if shorter else {}
        return {place: min(max(start, now.get(place, start)), end) for place, (start, end) in ranges.items()}

    def _compare(
        self,
        part: PartitionAudit,
        firsts: Offsets,
        decoded: Mapping[TopicPartition, list[DecodedRecords]],
        history: Mapping[TopicPartition, pa.Table],
        letters: Letters,
    ) -> Checked:
        place, first = part.place, firsts[part.place]
        rows, columns = history[place], ["offset", *self._setting.columns]
        expected = join(self._declared.history.arrow_schema, decoded[place], first)
        part.start = first
        part.check_retained(expected, since(rows, first), [letter for letter in letters[place] if letter[0] >= first])
        stored = rows.filter(pc.less(rows["offset"], max(first, part.former_until)))
        return Checked(part, expected.rows.select(columns), stored.select(columns))
