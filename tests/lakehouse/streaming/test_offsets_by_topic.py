"""Two topics with the same partitions, which begin elsewhere, through kills and rebuilds: each record is there once.

Checkpoint and sidecar are real files. Spark, the broker and the tables are played: a table is a bag of coordinates that
takes each batch of a generation once, as Delta does.
"""

import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.audit.conservation import balance_offsets
from lakehouse.audit.pinned import by_partition, within
from lakehouse.contract.domain import QueryTables
from lakehouse.errors import RefusedError
from lakehouse.kafka.offset_ranges import OffsetRange, OffsetRanges, TopicPartition
from lakehouse.kafka.topics import TopicState
from lakehouse.ops.rebuild_plan import plan_rebuild
from lakehouse.streaming import checkpoints, sidecar, start_checks
from lakehouse.streaming.batch import Batch, describe_batch, offsets_log
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.streaming.start_checks import Start

IDS = {"left": "id-1", "right": "id-2"}
Offsets = dict[TopicPartition, int]
Record = tuple[str, int, int]


def is_good(record: Record) -> bool:
    """Which of the two tables the record belongs to."""
    return (len(record[0]) + record[1] + record[2]) % 3 != 1


@dataclass
class Stream:
    """A query of records as Spark would run it."""

    checkpoint: Path
    firsts: Offsets
    ends: Offsets
    tables: tuple[Counter[Record], Counter[Record]] = field(default_factory=lambda: (Counter(), Counter()))
    versions: dict[tuple[int, str], int] = field(default_factory=dict)
    log: dict[tuple[str, int], list[tuple[Record, int]]] = field(default_factory=dict)
    generations: int = 0

    def start(self) -> Sidecar:
        """What a start begins with; a new checkpoint gets its id."""
        begun = sidecar.read(self.checkpoint)
        if begun is None:
            begun = Sidecar({}, IDS, starts=self.firsts)
            sidecar.write(self.checkpoint, begun)
        assert sidecar.read(self.checkpoint) == begun
        there = TopicState(IDS, self.firsts, self.ends)
        query = Start("line", "history", self.checkpoint, QueryTables(()), {}, there)
        start_checks.refuse_unreadable_topic(query, begun)
        if not (self.checkpoint / "metadata").exists():
            self.generations += 1
            for part in ("offsets", "commits"):
                (self.checkpoint / part).mkdir(parents=True)
            (self.checkpoint / "metadata").write_text(json.dumps({"id": f"g{self.generations}"}))
        return begun

    def batch(self, point: str, sizes: Offsets) -> None:
        """A batch of at most these sizes, killed at the point; one that was planned before is run again as planned."""
        begun, done = self.start(), checkpoints.last_committed(self.checkpoint)
        number = done.batch_id + 1 if done else 0
        if not (self.checkpoint / "offsets" / str(number)).exists():
            read = {**begun.starts, **(done.ends if done else {})}
            self._plan(number, {where: min(at + sizes.get(where, 50), self.ends[where]) for where, at in read.items()})
        batch = describe_batch(self.checkpoint, number)
        for table, name in enumerate(("before", "appended")):
            if point == name:
                return
            self._append(table, batch)
        if point == "written":
            return
        rows = [
            ((row["topic"], row["partition"], row["start_offset"]), row["end_offset"]) for row in offsets_log(batch)
        ]
        self.log[batch.generation, number] = rows
        (self.checkpoint / "commits" / str(number)).write_text("v1\n{}")

    def _plan(self, number: int, ends: Offsets) -> None:
        nested: dict[str, dict[str, int]] = {}
        for (topic, partition), end in ends.items():
            nested.setdefault(topic, {})[str(partition)] = end
        (self.checkpoint / "offsets" / str(number)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{json.dumps(nested)}')

    def _append(self, table: int, batch: Batch) -> None:
        if self.versions.get((table, batch.app_id), -1) >= batch.batch_id:
            return
        read = [(*where, at) for where, end in batch.ends.items() for at in range(batch.starts[where], end)]
        stored = self.tables[0] | self.tables[1] if batch.reads_again else Counter()
        self.tables[table].update(record for record in read if is_good(record) is (table == 0) and record not in stored)
        self.versions[table, batch.app_id] = batch.batch_id

    def offsets(self, where: TopicPartition, table: int) -> list[int]:
        """What a table has of a partition, as often as it has it."""
        return sorted(record[2] for record in self.tables[table].elements() if record[:2] == where)

    def rebuild(self) -> None:
        """As `lake rebuild` does with a query of records."""
        begun = sidecar.read(self.checkpoint)
        stored = {
            where: OffsetRanges.from_offsets(np.unique([*self.offsets(where, 0), *self.offsets(where, 1)]).astype(int))
            for where in self.firsts
        }
        plan = plan_rebuild(stored, {}, self.firsts, begun.starts if begun else {})
        assert not plan.lost
        checkpoints.discard(self.checkpoint)
        sidecar.write(self.checkpoint, Sidecar({}, IDS, "", plan.starts, plan.stored_until))

    def retain(self) -> None:
        """Retention takes all that was read and committed."""
        done = checkpoints.last_committed(self.checkpoint)
        self.firsts = {**self.firsts, **(done.ends if done else {})}


@st.composite
def places(draw: st.DrawFn) -> tuple[Offsets, Offsets]:
    """First and next offsets of the same partitions of two topics."""
    wheres = [(topic, partition) for topic in IDS for partition in range(draw(st.integers(1, 3)))]
    firsts = {where: draw(st.integers(0, 40)) for where in wheres}
    return firsts, {where: first + draw(st.integers(0, 9)) for where, first in firsts.items()}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["before", "appended", "written", "committed", "committed", "rebuild", "retain"]),
        st.lists(st.integers(0, 4), min_size=6, max_size=6),
    ),
    max_size=10,
)


@settings(deadline=None, max_examples=40)
@given(places(), STEPS)
def test_each_record_is_there_once_whatever_is_killed_and_rebuilt(
    given_places: tuple[Offsets, Offsets], steps: list[tuple[str, list[int]]]
) -> None:
    firsts, ends = given_places
    with tempfile.TemporaryDirectory() as folder:
        stream = Stream(Path(folder) / "history", firsts, ends)
        for step, sizes in [*steps, ("committed", [50] * 6), ("committed", [50] * 6)]:
            if step in ("rebuild", "retain"):
                getattr(stream, step)()
            else:
                stream.batch(step, dict(zip(firsts, sizes, strict=False)))
    for where, first in firsts.items():
        good, bad = (np.array(stream.offsets(where, table), dtype=np.int64) for table in (0, 1))
        balance = balance_offsets(np.arange(first, ends[where]), good, bad, ends[where])
        assert [len(off) for off in balance] == [0, 0, 0, 0], (where, balance)
    following: dict[tuple[str, TopicPartition], int] = {}
    for (generation, number), rows in sorted(stream.log.items()):
        for (topic, partition, start), end in rows:
            where = generation, (topic, partition)
            assert number == 0 or start == following[where]
            following[where] = end


@settings(deadline=None, max_examples=40)
@given(places(), st.data())
def test_a_refusal_names_the_topic_that_lacks_records(
    given_places: tuple[Offsets, Offsets], data: st.DataObject
) -> None:
    firsts, ends = given_places
    where = data.draw(st.sampled_from(sorted(firsts)))
    with tempfile.TemporaryDirectory() as folder:
        stream = Stream(Path(folder) / "history", firsts, ends)
        stream.batch("committed", dict.fromkeys(firsts, 2))
        done = checkpoints.last_committed(stream.checkpoint)
        assert done
        stream.firsts = {**firsts, where: done.ends[where] + 3}
        with pytest.raises(RefusedError) as refused:
            stream.start()
        assert f"{where[0]}[{where[1]}] " in str(refused.value)
        assert all(f"{topic}[{part}]" not in str(refused.value) for topic, part in firsts if (topic, part) != where)


@settings(deadline=None, max_examples=40)
@given(places())
def test_rows_within_ranges_are_those_of_their_own_topic(given_places: tuple[Offsets, Offsets]) -> None:
    import pyarrow as pa
    import pyarrow.dataset as ds

    firsts, ends = given_places
    every = [(topic, part, at) for topic in IDS for part in range(3) for at in range(50)]
    rows = pa.table(dict(zip(("topic", "partition", "offset"), map(list, zip(*every, strict=True)), strict=True)))
    inside = ds.dataset(rows).to_table(
        filter=within({where: OffsetRange(at, ends[where]) for where, at in firsts.items()})
    )
    found = {where: part["offset"].to_pylist() for where, part in by_partition(inside).items()}
    assert found == {where: list(range(at, ends[where])) for where, at in firsts.items() if at < ends[where]}
