"""Checks before a query starts: a start that would lose or double data is refused, and the error names the repair."""

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.contract.domain import QueryTables
from lakehouse.errors import RefusedError
from lakehouse.kafka.offset_ranges import OffsetRanges, Offsets, in_words
from lakehouse.kafka.topics import TopicState
from lakehouse.streaming import checkpoints, event_reading, sidecar
from lakehouse.streaming.checkpoints import BatchPlan
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import commit_files, schema_changes, table_io
from lakehouse.tables.table_io import Table


@dataclass(frozen=True)
class Start:
    """A query about to start: its checkpoint, its tables, what its state rests on, its topics as the broker has them.

    `state_store` is the class that would keep a new state.
    """

    domain: str
    query: str
    checkpoint: Path
    query_tables: QueryTables
    depends_on: dict[str, str]
    topics: TopicState
    state_store: str = ""

    @property
    def name(self) -> str:
        """<domain>.<query>."""
        return f"{self.domain}.{self.query}"

    def refuse(self, what: str, or_else: str = "", lost: bool = False) -> RefusedError:
        """The refusal, with the one command that repairs it; `lost`: where records cannot be read any more."""
        command = f"`lake rebuild {self.name}{' --accept-loss' if lost and self.query_tables.record_tables else ''}`"
        fix = f"{or_else}, or rebuild it: {command}." if or_else else f"Repair it: {command}."
        return RefusedError(f"Query {self.name} was not started: {what}.", fix)


def check(start: Start) -> Sidecar:
    """Record what a new checkpoint rests on, and check that an existing one still does; the sidecar to start with.

    Raises RefusedError when a file is damaged, a contract has changed in more than new columns, the checkpoint is lost,
    foreign or older than the tables, the state was made for something else or from other topics, or a topic no longer
    has what comes next.
    """
    for table in start.query_tables.tables:
        if broken := commit_files.find_damage(table.path):
            raise start.refuse(f"the table {table.name} is damaged, {broken}")
        if table_io.exists(table):
            schema_changes.refuse_changes(table, DeltaTable(table.path))
    if broken := checkpoints.damage(start.checkpoint):
        raise start.refuse(f"its checkpoint is damaged, {broken}")
    before = sidecar.read(start.checkpoint)
    if checkpoints.exists(start.checkpoint):
        refuse_foreign_or_old_checkpoint(start, before)
        refuse_changed_topics(start, before)
        refuse_changed_plan(start, before)
        refuse_changed_state_store(start)
        known = before or _for_first_start(start)
        depends_on = known.depends_on | start.depends_on
        current = replace(known, depends_on=depends_on, topic_ids=start.topics.ids)
    else:
        current = _for_new_checkpoint(start, before)
    current = event_reading.settle(start.checkpoint, current)
    refuse_unreadable_topic(start, current)
    if current != before:
        sidecar.write(start.checkpoint, current)
    return current


def _for_first_start(start: Start) -> Sidecar:
    return Sidecar(start.depends_on, start.topics.ids, starts=start.topics.starts)


def _for_new_checkpoint(start: Start, before: Sidecar | None) -> Sidecar:
    """The sidecar for a checkpoint that does not exist yet: at a first start, or after a rebuild."""
    if not (filled := [table.name for table in start.query_tables.tables if holds_records(table)]):
        if start.query_tables.postgres_tables:  # whose rows are not seen here
            refuse_changed_topics(start, before)
        return _for_first_start(start)
    if before is None or before.generation or not before.starts:
        raise start.refuse(
            f"its checkpoint {start.checkpoint} is gone, but {' and '.join(filled)} still hold its rows, and reading "
            "the topic again would double or lose records"
        )
    refuse_changed_topics(start, before)  # since the rebuild
    new_partitions = {where: at for where, at in start.topics.starts.items() if where not in before.starts}
    starts = {**before.starts, **new_partitions}
    return replace(before, depends_on=start.depends_on, topic_ids=start.topics.ids, starts=starts)


def refuse_foreign_or_old_checkpoint(start: Start, before: Sidecar | None) -> None:
    """Refuse a checkpoint that did not write the tables."""
    generation = checkpoints.generation(start.checkpoint)
    if before and before.generation and before.generation != generation:
        raise start.refuse(
            f"its checkpoint {start.checkpoint} is not the one that it ran with: its generation is {generation}, "
            f"not {before.generation}"
        )
    planned, done = checkpoints.last_planned(start.checkpoint), checkpoints.last_committed(start.checkpoint)
    app_id = checkpoints.app_id(generation, start.query)
    filled = [table for table in start.query_tables.tables if holds_records(table)]
    written = [version for table in filled if (version := _last_written(table, app_id)) is not None]
    if filled and done and not written:
        names = " and ".join(table.name for table in filled)
        raise start.refuse(f"its checkpoint {start.checkpoint} did not write the rows of {names}")
    if written and max(written) > (planned.batch_id if planned else -1):
        raise start.refuse(
            f"its checkpoint {start.checkpoint} is older than the tables: it knows batches up to "
            f"{planned.batch_id if planned else 'none'}, they hold batch {max(written)}"
        )


def refuse_changed_topics(start: Start, before: Sidecar | None) -> None:
    """Refuse a topic that was made again, added or removed.

    Spark would read an added topic from its first record. A query with a watermark would take those for late.
    """
    known, now = before.topic_ids if before else {}, start.topics.ids
    for name in known.keys() & now.keys():
        if known[name] not in ("", now[name]):
            raise start.refuse(
                f"the topic {name} was deleted and made again (its id was {known[name]} and is {now[name]}), "
                "so old offsets mean other records",
                lost=True,
            )
    if known and known.keys() != now.keys():
        was, are = (" and ".join(sorted(names)) for names in (known, now))
        what = f"it has read the topic {was} and would now read {are}"
        raise start.refuse(what, or_else="Start it as before", lost=bool(known.keys() - now.keys()))


def refuse_changed_plan(start: Start, before: Sidecar | None) -> None:
    """Refuse old state under a new plan."""
    known = before.depends_on if before else {}
    changed = {name: value for name, value in start.depends_on.items() if known.get(name, value) != value}
    if changed:
        what = ", ".join(f"{name} was {known[name]!r} and is now {value!r}" for name, value in changed.items())
        raise start.refuse(f"its state was made for something else, {what}", or_else="Start it as before")


def refuse_changed_state_store(start: Start) -> None:
    """Refuse another state store than the one that keeps the state: Spark would silently go on with that one."""
    kept_by = checkpoints.state_store(start.checkpoint)
    if start.state_store and kept_by not in (None, start.state_store):
        what = f"its state is kept by {kept_by}, and {checkpoints.STATE_STORE} is now {start.state_store}"
        raise start.refuse(what, or_else="Start it as before")


def refuse_unreadable_topic(start: Start, current: Sidecar) -> None:
    """Refuse when the broker no longer has the records that come next, or has fewer than were read."""
    planned, done = checkpoints.last_planned(start.checkpoint), checkpoints.last_committed(start.checkpoint)
    following = {**current.starts, **_ends(done)}
    removed = {
        where: OffsetRanges.of(following.get(where, first), first) for where, first in start.topics.starts.items()
    }
    if any(removed.values()):
        raise start.refuse(f"retention has removed records that it has not read: {in_words(removed)}", lost=True)
    read = {**current.starts, **_ends(planned)}
    short = [
        f"{topic}[{partition}] ends at {end:,} and was read up to {offset:,}"
        for (topic, partition), offset in sorted(read.items())
        if (end := start.topics.ends.get((topic, partition), 0)) < offset
    ]
    if short:
        raise start.refuse(f"the broker has fewer records than were read: {', '.join(short)}", lost=True)


def _ends(plan: BatchPlan | None) -> Offsets:
    return plan.ends if plan else {}


def holds_records(table: Table) -> bool:
    """Whether the table has rows that came from a topic; in a table of records those have an offset."""
    if not table_io.exists(table):
        return False
    files = pa.table(DeltaTable(table.path).get_add_actions(flatten=True))
    rows = sum(files["num_records"].to_pylist())
    without = sum(files["null_count.offset"].to_pylist()) if "null_count.offset" in files.column_names else 0
    return bool(rows > without)


def _last_written(table: Table, app_id: str) -> int | None:
    """The newest batch of the checkpoint that the table has; None when it has none."""
    return DeltaTable(table.path).transaction_version(app_id)
