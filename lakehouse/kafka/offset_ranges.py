"""Offsets by topic and partition; ranges of them: one value type for what was read, what is missing, what is lost."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:  # numpy is imported where arrays are: `lake` starts without it
    import numpy as np
    import numpy.typing as npt

OffsetArray: TypeAlias = "npt.NDArray[np.int64]"
TopicPartition: TypeAlias = tuple[str, int]
Offsets: TypeAlias = Mapping[TopicPartition, int]  # an offset alone says nothing: each topic has a partition 0


class OffsetRange(NamedTuple):
    """The offsets from `start` to `end`, which is exclusive."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many offsets it has."""
        return max(0, self.end - self.start)

    def __str__(self) -> str:
        return f"{self.start:,} to {self.end - 1:,} ({self.length:,} records)"


@dataclass(frozen=True)
class OffsetRanges:
    """A set of offsets of one partition, as ranges in order: none is empty, and between two of them lies a gap.

    It may be made of any ranges. `|` is the union, `&` the intersection, `-` the difference.
    """

    ranges: tuple[OffsetRange, ...] = ()

    def __init__(self, ranges: Iterable[Iterable[int]] = ()) -> None:
        merged: list[OffsetRange] = []
        for start, end in sorted((start, end) for start, end in ranges if start < end):
            if merged and start <= merged[-1].end:
                merged[-1] = OffsetRange(merged[-1].start, max(end, merged[-1].end))
            else:
                merged.append(OffsetRange(start, end))
        object.__setattr__(self, "ranges", tuple(merged))

    @classmethod
    def of(cls, start: int, end: int) -> Self:
        """One range; none where `end` is not after `start`."""
        return cls([(start, end)])

    @classmethod
    def from_offsets(cls, offsets: OffsetArray) -> Self:
        """The ranges that sorted offsets make up."""
        import numpy as np

        if not len(offsets):
            return cls()
        breaks = np.flatnonzero(np.diff(offsets) > 1)
        starts, ends = offsets[np.r_[0, breaks + 1]], offsets[np.r_[breaks, len(offsets) - 1]] + 1
        return cls(zip(starts.tolist(), ends.tolist(), strict=True))

    def to_offsets(self) -> OffsetArray:
        """Every offset, in order."""
        import numpy as np

        return np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(*each) for each in self.ranges)])

    def to_lists(self) -> list[list[int]]:
        """[start, end] of each range, as JSON has them."""
        return [list(each) for each in self.ranges]

    def __iter__(self) -> Iterator[OffsetRange]:
        return iter(self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, offset: int) -> bool:
        return any(start <= offset < end for start, end in self.ranges)

    @property
    def length(self) -> int:
        """How many offsets there are."""
        return sum(each.length for each in self.ranges)

    def __or__(self, other: "OffsetRanges") -> "OffsetRanges":
        return OffsetRanges([*self.ranges, *other.ranges])

    def __and__(self, other: "OffsetRanges") -> "OffsetRanges":
        both, left, right = [], 0, 0
        while left < len(self.ranges) and right < len(other.ranges):
            one, another = self.ranges[left], other.ranges[right]
            both.append((max(one.start, another.start), min(one.end, another.end)))
            left, right = (left + 1, right) if one.end < another.end else (left, right + 1)
        return OffsetRanges(both)

    def __sub__(self, other: "OffsetRanges") -> "OffsetRanges":
        if not self.ranges:
            return self
        edges = [self.ranges[0].start, *(edge for each in other for edge in each), self.ranges[-1].end]
        return self & OffsetRanges(zip(edges[::2], edges[1::2], strict=True))

    def gaps(self, start: int, end: int) -> "OffsetRanges":
        """The offsets from `start` to `end` (exclusive) that are not in it."""
        return OffsetRanges.of(start, end) - self

    def mask(self, offsets: OffsetArray) -> "npt.NDArray[np.bool_]":
        """For each of the offsets, in any order, whether it is in it."""
        import numpy as np

        if not self.ranges:
            return np.zeros(len(offsets), dtype=bool)
        starts, ends = np.array(self.ranges, dtype=np.int64).T
        at = np.searchsorted(starts, offsets, side="right") - 1
        inside: npt.NDArray[np.bool_] = (at >= 0) & (offsets < ends[at])
        return inside


PartitionRanges: TypeAlias = Mapping[TopicPartition, OffsetRanges]


def in_words(ranges: PartitionRanges) -> str:
    """Each range with its topic and partition, for a sentence."""
    return ", ".join(f"{topic}[{partition}] {each}" for (topic, partition), parts in ranges.items() for each in parts)
