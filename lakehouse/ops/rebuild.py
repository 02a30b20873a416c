"""`lake rebuild <domain>.<query>`: the repair of a query that cannot go on from its checkpoint, its state or a table.

A query of views loses its state and its tables and reads the topic again from its first record; what the topic no
longer has, the batch layer serves, or its loss has to be accepted. A query of records keeps every row: its new
checkpoint begins at the first record that the tables do not have, and records that they have already are left out when
they are read again.
"""

import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from lakehouse.contract.discovery import load
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.core.locks import exclusive
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.errors import LakeError, RefusedError, UnavailableError, UsageError
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import OffsetRanges, PartitionRanges, TopicPartition, in_words
from lakehouse.kafka.topics import TopicState
from lakehouse.ops import rebuild_plan
from lakehouse.ops.rebuild_plan import (
    lost_what_was_read,
    stored_end,
    topics_left,
    topics_made_again,
    without_batch_layer,
)
from lakehouse.settings import ROOT, settings
from lakehouse.streaming import accepted_losses, checkpoints, sidecar
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import commit_files, data_files, table_io
from lakehouse.tables.table_io import Table

Value = TypeVar("Value")


def rebuild(name: str, accept_loss: bool) -> list[str]:
    """Rebuild the query `<domain>.<query>`; what was done, as sentences.

    Raises UsageError when there is no such query, RefusedError while it runs or when records are lost that nobody
    accepted as such.
    """
    domain, query = _find(name)
    checkpoint, tables = checkpoints.path(domain.name, query), domain.query_tables[query]
    if accept_loss and not tables.record_tables and not without_batch_layer(domain, tables):
        raise UsageError(
            f"--accept-loss is for queries that keep records or rows without a batch layer; {name} keeps none.",
            "Leave it out.",
        )
    with exclusive(checkpoint.with_suffix(".lock"), f"Query {name}"), _broker() as bootstrap_servers:
        found = topics.existing(bootstrap_servers, tables.topic_names, "Start it once: `lake up`.")
        done = [line for table in tables.tables for line in _mend(table, keep=table in tables.record_tables)]
        if tables.record_tables:
            return done + _records(domain, query, found, accept_loss)
        return done + _views(domain, query, found, accept_loss)


def _find(name: str) -> tuple[Domain, str]:
    domain_name, _, query = name.partition(".")
    domain = load(domain_name)
    if query not in domain.query_tables:
        known = ", ".join(f"{domain.name}.{other}" for other in domain.query_tables)
        raise UsageError(f"There is no query {name!r}.", f"Queries: {known}.")
    return domain, query


@contextmanager
def _broker() -> Iterator[str]:
    """The broker's address; when the lake is down, the embedded broker runs until the end of the block."""
    try:
        address = settings().brokers()
        topics.check(address)
    except UnavailableError:
        if settings().bootstrap_servers != "embedded":
            raise
    else:
        yield address
        return
    broker = Broker(port=0)
    settings().log.mkdir(parents=True, exist_ok=True)
    with exclusive(settings().run / "lake.lock", "The lake"), (settings().log / "kafka.log").open("ab") as log:
        broker.start(log)
        try:
            yield broker.bootstrap_servers
        finally:
            broker.stop()


def _mend(table: Table, keep: bool) -> list[str]:
    if not keep or not table_io.exists(table):  # a view is dropped later
        return []
    aside = commit_files.replace_damaged(table.path) if commit_files.find_damage(table.path) else []
    if again := commit_files.find_damage(table.path):
        raise LakeError(f"The table {table.name} cannot be mended: {again}.", "Bring it back from a backup.")
    put_aside = [f"Put aside: {file}. Its rows are read from the topic again." for file in aside]
    return put_aside + data_files.remove_damaged(table)


def _views(domain: Domain, query: str, found: TopicState, accept_loss: bool) -> list[str]:
    tables, checkpoint = domain.query_tables[query], checkpoints.path(domain.name, query)
    done = []
    before = sidecar.read(checkpoint) or Sidecar()
    # Whether the topics lack something that the tables were made of.
    lacking = any(found.starts.values()) or topics_left(before, found) or topics_made_again(before, found)
    if lacking and (tables.state_tables or tables.postgres_tables):
        if not accept_loss and lost_what_was_read(before, found):
            _refuse_lost_rows(f"{domain.name}.{query}", rebuild_plan.lost_tables(domain, tables, before))
        done += _recompute(domain)
    checkpoints.discard(checkpoint)
    for table in tables.state_tables:
        _drop(table)
    sidecar.file(checkpoint).unlink(missing_ok=True)  # last: until then a start is refused
    names, read = " and ".join(table.name for table in tables.state_tables), " and ".join(tables.topic_names)
    if not names:
        return [f"The checkpoint was dropped: the next start reads {read} from its first record."]
    return [*done, f"{names} were dropped: the next start makes them again from the first record of {read}."]


def _refuse_lost_rows(name: str, tables: Sequence[Table]) -> None:
    if lost := " and ".join(table.name for table in tables):
        raise RefusedError(
            f"The topic no longer has every record that {lost} was made of, and no batch layer has its rows.",
            f"Nothing brings them back; `lake rebuild {name} --accept-loss` makes it from the records that are left.",
        )


def _recompute(domain: Domain) -> list[str]:
    """Recompute the batch layer before the views are dropped: it serves what the topic no longer has."""
    if domain.recompute is None:
        return []
    _run(*domain.command(domain.recompute))
    return ["The topic no longer has every record: the batch layer was recomputed and serves those windows."]


def _drop(table: Table) -> None:
    aside = table.path.with_name(f".{table.name}.dropped")
    shutil.rmtree(aside, ignore_errors=True)
    if table.path.exists():
        table.path.replace(aside)
        shutil.rmtree(aside)


def _records(domain: Domain, query: str, found: TopicState, accept_loss: bool) -> list[str]:
    name, checkpoint = f"{domain.name}.{query}", checkpoints.path(domain.name, query)
    tables, before = domain.query_tables[query], sidecar.read(checkpoint) or Sidecar()
    gone = sorted(topics_left(before, found))
    stored = rebuild_plan.stored_offsets(tables.record_tables, [*found.ids, *gone])
    done = [line for topic in gone for line in _leave_topic(name, domain, topic, stored, accept_loss)]
    others = topics_made_again(before, found) | _shortened(stored, found)
    for topic in sorted(others):
        done += _rename_old_topic(name, domain, tables, topic, stored, before, accept_loss)
    empty = _without(rebuild_plan.offsets_without_record(domain.name, found.ids), others)
    plan = rebuild_plan.plan_rebuild(_without(stored, others), empty, found.starts, _without(before.starts, others))
    done += _accept_lost(name, domain.name, plan.lost, accept_loss)
    checkpoints.discard(checkpoint)  # first: until the sidecar is new, a start is refused
    former = before.former_topic_ids | before.topic_ids
    former = {topic: topic_id for topic, topic_id in former.items() if topic not in found.ids}
    former_until = _without(before.former_until, others)
    after = Sidecar(
        before.depends_on, found.ids, "", plan.starts, plan.stored_until, former, before.reading, former_until
    )
    sidecar.write(checkpoint, after)
    begin = ", ".join(f"{topic}[{partition}] {at:,}" for (topic, partition), at in sorted(plan.starts.items()))
    return [*done, f"The next start reads from the first records that the tables do not have: {begin}."]


def _without(offsets: Mapping[TopicPartition, Value], topics: Collection[str]) -> dict[TopicPartition, Value]:
    return {where: value for where, value in offsets.items() if where[0] not in topics}


def _shortened(stored: PartitionRanges, found: TopicState) -> set[str]:
    """The topics of which the tables have rows that the broker does not have any more."""
    return {
        where[0]
        for where, ranges in stored.items()
        if where[0] in found.ids and stored_end(ranges) > found.ends.get(where, 0)
    }


def _accept_lost(name: str, domain: str, planned: PartitionRanges, accept_loss: bool) -> list[str]:
    """Note what is lost and not yet accepted as such; refused where the user does not accept it."""
    known = accepted_losses.accepted(domain)
    lost = {where: rest for where, ranges in planned.items() if (rest := ranges - known.get(where, OffsetRanges()))}
    if not lost:
        return []
    if not accept_loss:
        raise RefusedError(
            f"The topic no longer has records that no table holds: {in_words(lost)}.",
            f"Nothing brings them back; `lake rebuild {name} --accept-loss` notes them as lost and goes on.",
        )
    accepted_losses.accept(domain, lost, "retention")
    return [f"Noted as lost in {accepted_losses.lost_ranges(domain).path}: {in_words(lost)}."]


def _leave_topic(name: str, domain: Domain, topic: str, stored: PartitionRanges, accept_loss: bool) -> list[str]:
    """Note that a topic is no longer read. Its rows keep their name: read again, it goes on behind them."""
    if not accept_loss:
        raise RefusedError(
            f"Query {name} no longer reads the topic {topic}: what it has not read of it stays unread.",
            f"`lake rebuild {name} --accept-loss` notes that, keeps the rows of {topic}, and goes on with its topics.",
        )
    accepted_losses.accept_unknown(domain.name, topic, _ends(stored, topic), "the topic is no longer read")
    return [f"The rows of the topic {topic} are kept; it is no longer read."]


def _rename_old_topic(
    name: str,
    domain: Domain,
    tables: QueryTables,
    topic: str,
    stored: PartitionRanges,
    before: Sidecar,
    accept_loss: bool,
) -> list[str]:
    """Give the rows of a topic that was deleted and made again another topic name: new records use their offsets."""
    if not accept_loss:
        raise RefusedError(
            f"The topic {topic} was made again or has lost its newest records: what was never read of it is gone.",
            f"`lake rebuild {name} --accept-loss` notes that, keeps all rows under another topic name, and goes on.",
        )
    old_id = before.topic_ids.get(topic) or before.former_topic_ids.get(topic) or "unknown"
    old_name = f"{topic}@{old_id}-until-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    accepted_losses.rename_topic(domain.name, topic, old_name)  # new records have the offsets of those lost before
    accepted_losses.accept_unknown(domain.name, old_name, _ends(stored, topic), "the topic was made again")
    paths = [str(table.path) for table in tables.record_tables if table.path.exists()]
    _run("lakehouse/ops/rename_topic.py", *paths, "--topic", topic, "--name", old_name)
    return [f"The rows of the old topic {topic} are kept under the topic name {old_name}."]


def _ends(stored: PartitionRanges, topic: str) -> dict[int, int]:
    """The offset after the last one that is stored, by partition of the topic."""
    return {partition: stored_end(ranges) for (name, partition), ranges in stored.items() if name == topic}


def _run(script: str, *options: str) -> None:
    command = [sys.executable, "-m", "lakehouse.spark.submit", script, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LakeError(f"{script} failed, and nothing was rebuilt: {done.stderr.strip()[-300:]}")
