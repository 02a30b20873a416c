"""The audit: nothing on the topic lost or doubled, and every average what its events make it, each held with ==.

The order in which it looks lets it run beside live streams: first what the queries have committed, then the versions
of their tables, then the topic's offsets. What is committed must be in the tables, what is in the tables must be on the
topic.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.audit import conservation, contract, results
from lakehouse.audit.contract import Audit, Counted
from lakehouse.audit.decode import Judged, decode_records, digests, helpers
from lakehouse.audit.pinned import Pinned, by_partition, within
from lakehouse.audit.results import KEPT_GAPS, Findings
from lakehouse.audit.views import View
from lakehouse.errors import UnavailableError
from lakehouse.kafka import topics
from lakehouse.kafka.reader import Range, TopicReader, slices
from lakehouse.streaming import checkpoints, offset_ranges

SLICE = 100_000  # records held at a time
REMOVED_SLICE = 1_000_000  # offsets
WORTH_HELPERS = 100_000  # records; starting two more processes takes a second or two


@dataclass
class Part:
    """One partition: what is audited of it, and what came out. `read_to` is None where the history has read nothing."""

    number: int
    start: int
    end: int
    read_to: int | None
    covered: results.Ranges
    findings: Findings = field(default_factory=Findings)
    records: int = 0
    history: int = 0
    dead_letters: int = 0
    waiting: int = 0
    gaps: list[list[int]] = field(default_factory=list)

    @property
    def due(self) -> int:
        """Where the history's last committed batch ends."""
        return min(self.read_to or 0, self.end)


class Run:
    """One audit of one domain. Raises UnavailableError when the broker is away or has no such topic."""

    def __init__(self, name: str, bootstrap_servers: str) -> None:
        self.at = datetime.now(UTC)
        self._began = time.monotonic()
        self._name, self._servers = name, bootstrap_servers
        self.declared: Audit = contract.audit(name)
        topics.check(bootstrap_servers)
        committed = checkpoints.last_committed(checkpoints.path(name, self.declared.query))
        self._history, self._dead = Pinned(self.declared.history), Pinned(self.declared.dead_letters)
        windows = [View(name, declared, self.declared.topic) for declared in self.declared.windows]
        self._views: list[Counted] = [*windows, *(make() for make in self.declared.others)]
        found = topics.state(bootstrap_servers, self.declared.topic)
        if found is None:
            raise UnavailableError(f"The broker has no topic {self.declared.topic}.", "Start the lake: `lake up`.")
        self._topic_id = found.topic_id
        self._given_up = offset_ranges.accepted(name)
        ends = topics.committed_ends(bootstrap_servers, self.declared.topic, found.ends)
        read = {part: at for (topic, part), at in (committed.ends if committed else {}).items()}
        earlier = self._earlier()
        self.parts = {
            number: Part(number, start, ends[number], read.get(number), earlier.get(number, []))
            for number, start in found.starts.items()
        }

    def _earlier(self) -> dict[int, results.Ranges]:
        """What stored audits of this very topic have covered, by partition."""
        last = results.last(self._name)
        same = last.get("topic_id") == self._topic_id
        return {part["partition"]: part["covered"] for part in last.get("partitions", [])} if same else {}

    def run(self) -> dict[str, Any]:
        """Audit everything; the result as it is stored."""
        self._beyond()
        removed = {part.number: (0, part.start) for part in self.parts.values()}
        for ranges in slices(removed, REMOVED_SLICE):
            self._removed(ranges)
        retained = {part.number: (part.start, part.end) for part in self.parts.values()}
        with ExitStack() as stack:
            reader = TopicReader(self._servers, self.declared.topic)
            stack.callback(reader.close)
            many = sum(end - start for start, end in retained.values()) > WORTH_HELPERS
            pool = stack.enter_context(helpers()) if many else None
            for ranges in slices(retained, SLICE):
                self._retained(ranges, reader, pool)
        return self._result()

    def _beyond(self) -> None:
        """Rows whose coordinates the topic has never given out."""
        topic = self.declared.topic
        on_topic = within(topic, {part.number: (0, part.end) for part in self.parts.values()})
        retired = pc.starts_with(pc.field("topic"), f"{topic}@")  # of a topic that was made again: `lake rebuild`
        for pinned in (self._history, self._dead):
            where = pc.field("offset").is_valid() & ~on_topic & ~retired
            found = pinned.read(["topic", "partition", "offset"], where)
            for number, rows in by_partition(found).items():
                part = self.parts.setdefault(number, Part(number, 0, 0, None, []))
                what = f"in {pinned.table.name}, but the topic never had it"
                part.findings.add(what, conservation.offsets(rows), f"of topic {rows['topic'][0]}")

    def _removed(self, ranges: Mapping[int, Range]) -> None:
        """What retention has taken from the topic: the coordinates rest on earlier audits, doubles are still seen."""
        where = within(self.declared.topic, ranges)
        columns = [*dict.fromkeys(["partition", "offset", *(name for view in self._views for name in view.columns)])]
        rows, dead = by_partition(self._history.read(columns, where)), self._dead.read(["partition", "offset"], where)
        dead_rows = by_partition(dead)
        for number, (start, end) in ranges.items():
            part = self.parts[number]
            kept, letters = (conservation.offsets(found[number]) for found in (rows, dead_rows))
            records = conservation.records_of(part.covered, start, end)
            found = conservation.conserve(records, kept, letters, end)
            lost = offset_ranges.outside(found.lost, self.declared.topic, number, self._given_up)
            part.findings.add("gone since the last audit", lost)
            part.findings.add("twice", found.doubled)
            strange = [at for at in found.foreign if any(one["from"] <= at < one["to"] for one in part.covered)]
            part.findings.add("not a record of the topic", strange)
            self._count(part, rows[number])

    def _count(self, part: Part, rows: pa.Table) -> None:
        for view in self._views:
            view.add(part.number, rows)

    def _retained(self, ranges: Mapping[int, Range], reader: TopicReader, pool: Executor | None) -> None:
        where = within(self.declared.topic, ranges)
        kept = by_partition(self._history.read(list(self.declared.history.columns), where))
        letters: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for rows in self._dead.scan(["partition", "offset", "recorded_at", "key", "value"], where):
            for number, place, made in digests(rows):
                letters[number].append((place, made))
        seen: dict[int, Judged] = defaultdict(Judged)
        for number, judged in self._decoded(ranges, reader, pool):
            seen[number].rows += judged.rows
            seen[number].refused |= judged.refused
            seen[number].offsets += judged.offsets
        starts = topics.starts(self._servers, self.declared.topic, ranges)  # retention may have gone on meanwhile
        for number, (start, end) in ranges.items():
            part = self.parts[number]
            first = min(max(start, starts[number]), end)
            if first > start:
                part.start = first
                self._count(part, kept[number].filter(pc.less(kept[number]["offset"], first)))
            self._judge(part, (first, end), seen[number], kept[number], letters[number])

    def _decoded(
        self, ranges: Mapping[int, Range], reader: TopicReader, pool: Executor | None
    ) -> Iterator[tuple[int, Judged]]:
        """What the decoder makes of the records of the ranges, in other processes where there is a pool."""
        waiting = []
        for number, records in reader.read(ranges):
            if pool is None:
                yield number, decode_records(self._name, number, records)
                continue
            waiting.append((number, pool.submit(decode_records, self._name, number, records)))
            if len(waiting) > 8:
                first, future = waiting.pop(0)
                yield first, future.result()
        yield from ((number, future.result()) for number, future in waiting)

    def _judge(
        self, part: Part, within_: Range, seen: Judged, rows: pa.Table, letters: list[tuple[int, bytes]]
    ) -> None:
        """Hold a slice of a partition against the tables."""
        start, end = within_
        records = np.array([at for at in seen.offsets if at >= start], dtype=np.int64)
        rows = rows.filter(pc.greater_equal(rows["offset"], start))
        dead = [letter for letter in letters if letter[0] >= start]
        expected = pa.concat_tables([self.declared.history.arrow_schema.empty_table(), *seen.rows]).combine_chunks()
        expected = expected.filter(pc.greater_equal(expected["offset"], start))
        kept = conservation.offsets(rows)
        found = conservation.conserve(records, kept, np.array([at for at, _ in dead], dtype=np.int64), part.due)
        add = part.findings.add
        add("lost: neither in history nor in dead letters", found.lost)
        add("twice", found.doubled)
        add("not a record of the topic", found.foreign)
        invalid = sorted(set(kept.tolist()) & set(seen.refused))
        add("in history, but not valid", invalid, seen.refused[invalid[0]][0] if invalid else "")
        wrong = conservation.differing(expected, rows)
        add("differs from the topic", [at for at, _ in wrong], wrong[0][1] if wrong else "")
        valid = set(conservation.offsets(expected).tolist()) if dead else set()
        add("a dead letter, but valid", sorted(at for at, _ in dead if at in valid))
        torn = sorted(at for at, made in dead if at in seen.refused and seen.refused[at][1] != made)
        add("a dead letter, but not the bytes that came", torn)
        part.records += len(records)
        part.history += len(kept)
        part.dead_letters += len(dead)
        part.waiting += len(found.waiting)
        part.gaps = conservation.joined([*part.gaps, *conservation.gaps(records, start, end)])
        self._count(part, expected)

    def _result(self) -> dict[str, Any]:
        parts = [self._told(part) for _, part in sorted(self.parts.items())]
        views = [told for view in self._views for told in view.told(self._history)]
        seconds = time.monotonic() - self._began
        return {
            "domain": self._name,
            "at": self.at.isoformat(),
            "clean": not any(one["findings"] for one in [*parts, *views]),
            "seconds": round(seconds, 3),
            "records": sum(part["records"] for part in parts),
            "topic": self.declared.topic,
            "topic_id": self._topic_id,
            "partitions": parts,
            "views": views,
        }

    def _told(self, part: Part) -> dict[str, Any]:
        if part.read_to is not None and part.read_to < part.start:
            unread = [offset_ranges.Range(self.declared.topic, part.number, part.read_to, part.start)]
            for gone in offset_ranges.without(unread, self._given_up):
                what = "removed by retention before the history had read it"
                part.findings.add(what, range(gone.start, gone.end))
        findings = part.findings.told()
        gaps = [[first, last] for first, last in part.gaps if first < part.due]
        new = {"from": part.start, "to": max(part.due, part.start), "at": self.at.isoformat(), "clean": not findings}
        rests = results.covered(part.covered, {"from": 0, "to": 0}, part.start)
        kept_whole = len(gaps) <= KEPT_GAPS
        return {
            "partition": part.number,
            "from": part.start,
            "to": part.end,
            "read_to": part.due,
            **{name: getattr(part, name) for name in ("records", "history", "dead_letters", "waiting")},
            "without_record": part.end - part.start - part.records,
            "rests_on": [{name: one[name] for name in ("from", "to", "at", "clean")} for one in rests],
            "not_covered": results.uncovered(rests, part.start),
            "covered": results.covered(part.covered, {**new, "gaps": gaps}, part.start) if kept_whole else rests,
            "findings": findings,
        }


def audit(name: str, bootstrap_servers: str) -> dict[str, Any]:
    """Audit a domain and store the result, which it also returns. Raises UnavailableError when the broker is away."""
    run = Run(name, bootstrap_servers)
    result = run.run()
    results.store(name, run.at, result)
    return result
