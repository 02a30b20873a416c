"""The batch log of a query as the audit reads it: what each batch has read, and which batches are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lakehouse.audit.results import Findings
from lakehouse.kafka.offset_ranges import TopicPartition

Ints = npt.NDArray[np.int64]
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Read:
    """The batches of one generation that read one partition, in order: offsets and the watermark for late events."""

    starts: Ints
    ends: Ints
    late: Ints

    def watermarks(self, offsets: Ints) -> tuple[npt.NDArray[np.bool_], Ints]:
        """The offsets that each batch has read, and the watermark by which it dropped late events."""
        if not len(self.starts):
            return np.zeros(len(offsets), dtype=bool), np.full(len(offsets), NEVER)
        at = np.searchsorted(self.starts, offsets, side="right") - 1
        known = (at >= 0) & (offsets < self.ends[at])
        return known, self.late[at]


class BatchLog:
    """The batch log of a query: generations, oldest first, and what their batches read up to the last counted one."""

    def __init__(self, log: pa.Table, topics: Sequence[str], last: Mapping[str, int | None]) -> None:
        frame = log.to_pandas()
        frame["mark"] = log["watermark"].cast(pa.int64()).to_pandas().fillna(NEVER).astype("int64")
        newest = frame.groupby("generation")["committed_at"].max().sort_values()
        self.generations: list[str] = [name for name in newest.index if last.get(name) is not None]
        self.findings = Findings()
        self.last = {name: int(last[name] or 0) for name in self.generations}
        self._reads: dict[tuple[str, TopicPartition], Read] = {}
        for generation in self.generations:
            rows = frame[(frame["generation"] == generation) & (frame["batch_id"] <= self.last[generation])]
            self._take(generation, rows[rows["topic"].isin(topics)])

    def read(self, generation: str, where: TopicPartition) -> Read:
        """The batches of the generation over the partition."""
        empty = np.empty(0, dtype=np.int64)
        return self._reads.get((generation, where), Read(empty, empty, empty))

    def _take(self, generation: str, rows: pd.DataFrame) -> None:
        marks = rows.groupby("batch_id")["mark"].max()
        missing = sorted(set(range(self.last[generation] + 1)) - set(marks.index))
        self.findings.add("batch not in the log", missing, f"generation {generation}")
        late = {batch: marks.get(batch - 1, NEVER) for batch in marks.index}
        twice = rows[rows.duplicated(["batch_id", "topic", "partition"])]
        self.findings.add("batch twice in the log", [int(batch) for batch in twice["batch_id"].unique()])
        read = rows[rows["end_offset"] > rows["start_offset"]].sort_values("start_offset")
        for _, of in read.groupby(["topic", "partition"]):
            topic, partition = str(of["topic"].iloc[0]), int(of["partition"].iloc[0])
            starts, ends = (of[name].to_numpy(dtype=np.int64) for name in ("start_offset", "end_offset"))
            batches = of["batch_id"].to_numpy()
            torn = batches[1:][starts[1:] != ends[:-1]]
            detail = f"{topic} {partition}, generation {generation}"
            self.findings.add("batch that does not begin where the one before ended", torn, detail)
            marked = np.array([late[batch] for batch in batches], dtype=np.int64)
            self._reads[generation, (topic, partition)] = Read(starts, ends, marked)
