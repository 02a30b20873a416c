"""`lake rebuild <domain>.<query>`: a query begun anew when it cannot go on from its checkpoint, its state or a table.

A query of views loses its state and its tables and reads the topic again from its first record; what the topic no
longer has, the batch layer serves. A query of records keeps every row: its new checkpoint begins at the first record
that the tables do not hold, and records that they do hold are left out when they are read again.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.contract.discovery import load
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.core.locks import exclusive
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.errors import LakeError, RefusedError, UnavailableError, UsageError
from lakehouse.kafka import topics
from lakehouse.kafka.topics import TopicState
from lakehouse.settings import ROOT, settings
from lakehouse.streaming import checkpoints, offset_ranges, sidecar, start_checks
from lakehouse.streaming.offset_ranges import Range
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import commit_files, data_files, table_io
from lakehouse.tables.table_io import Table


@dataclass(frozen=True)
class Plan:
    """Where reading begins per partition, up to where records may be held already, and what the topic no longer has."""

    starts: dict[int, int]
    held_until: dict[int, int]
    lost: list[Range]


def rebuild(name: str, accept_loss: bool) -> list[str]:
    """Begin the query `<domain>.<query>` anew; what was done, as sentences.

    Raises UsageError when there is no such query, RefusedError while it runs or when records are lost that nobody
    accepted as such.
    """
    domain, query = _find(name)
    checkpoint, stores = checkpoints.path(domain.name, query), domain.query_tables[query]
    if accept_loss and not stores.record_tables:
        raise UsageError(f"--accept-loss is for queries that keep records; {name} keeps none.", "Leave it out.")
    with exclusive(checkpoint.with_suffix(".lock"), f"Query {name}"), _broker() as bootstrap_servers:
        topic = topics.state(bootstrap_servers, stores.topic.name)
        if topic is None:
            raise UnavailableError(f"The broker has no topic {stores.topic.name}.", "Start it once: `lake up`.")
        done = [line for table in stores.tables for line in _mend(table, keep=table in stores.record_tables)]
        if stores.record_tables:
            return done + _records(domain, query, topic, accept_loss)
        return done + _views(domain, query, topic)


def _find(name: str) -> tuple[Domain, str]:
    domain_name, _, query = name.partition(".")
    domain = load(domain_name)
    if query not in domain.query_tables:
        known = ", ".join(f"{domain.name}.{other}" for other in domain.query_tables)
        raise UsageError(f"There is no query {name!r}.", f"Queries: {known}.")
    return domain, query


@contextmanager
def _broker() -> Iterator[str]:
    """The broker in force; the embedded one is started for as long as it is needed when the lake is down."""
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
    if not keep or not table_io.exists(table):  # a view is dropped as a whole
        return []
    aside = commit_files.replace_damaged(table.path) if commit_files.find_damage(table.path) else []
    if again := commit_files.find_damage(table.path):
        raise LakeError(f"The table {table.name} cannot be mended: {again}.", "Bring it back from a backup.")
    put_aside = [f"Put aside: {file}. Its rows are read from the topic again." for file in aside]
    return put_aside + data_files.remove_damaged(table)


def _views(domain: Domain, query: str, topic: TopicState) -> list[str]:
    stores, checkpoint = domain.query_tables[query], checkpoints.path(domain.name, query)
    done = []
    before = sidecar.read(checkpoint)
    same = before is None or before.depends_on.get(start_checks.TOPIC_ID, topic.topic_id) == topic.topic_id
    if any(topic.starts.values()) or not same:  # the topic does not have all that the tables were made of
        done += _recompute(domain)
    checkpoints.discard(checkpoint)
    for table in stores.state_tables:
        _drop(table)
    sidecar.file(checkpoint).unlink(missing_ok=True)  # last: until then a start is refused
    names = " and ".join(table.name for table in stores.state_tables)
    return [*done, f"{names} are begun anew: the next start reads {topic.name} from its first record on."]


def _recompute(domain: Domain) -> list[str]:
    """Have the batch layer hold what the topic no longer has, before the views are dropped."""
    job = f"jobs/{domain.name}/recompute.py"
    if not (ROOT / job).is_file():
        return []
    _run(job)
    return ["The topic no longer has every record: the batch layer was recomputed and serves those windows."]


def _drop(table: Table) -> None:
    aside = table.path.with_name(f".{table.name}.dropped")
    shutil.rmtree(aside, ignore_errors=True)
    if table.path.exists():
        table.path.replace(aside)
        shutil.rmtree(aside)


def _records(domain: Domain, query: str, topic: TopicState, accept_loss: bool) -> list[str]:
    stores, checkpoint = domain.query_tables[query], checkpoints.path(domain.name, query)
    before = sidecar.read(checkpoint)
    held = offset_ranges.held(stores.record_tables, topic.name)
    retired = []
    if _is_another(topic, held, before):
        retired = _retire(f"{domain.name}.{query}", domain, stores, before, accept_loss)
        held, before = {}, None
    plan = plan_records(held, topic, before.starts if before else {})
    lost = offset_ranges.without(plan.lost, offset_ranges.accepted(domain.name))
    named = ", ".join(str(each) for each in lost)
    if lost and not accept_loss:
        raise RefusedError(
            f"The topic no longer has records that no table holds: {named}.",
            f"Nothing brings them back; `lake rebuild {domain.name}.{query} --accept-loss` notes them and goes on.",
        )
    if lost:
        offset_ranges.accept(domain.name, lost, "retention")
    checkpoints.discard(checkpoint)  # first: until the sidecar is new, a start is refused
    depends_on = {**(before.depends_on if before else {}), "topic": topic.name, start_checks.TOPIC_ID: topic.topic_id}
    sidecar.write(checkpoint, Sidecar(depends_on, "", plan.starts, plan.held_until))
    begin = ", ".join(f"[{partition}] {offset:,}" for partition, offset in sorted(plan.starts.items()))
    noted = [f"Noted as lost in {offset_ranges.lost_ranges(domain.name).path}: {named}."] if lost else []
    return [*retired, *noted, f"The next start goes on from the offsets that the tables hold: {topic.name} {begin}."]


def _retire(name: str, domain: Domain, stores: QueryTables, before: Sidecar | None, accept_loss: bool) -> list[str]:
    """Give the rows of a topic that was made again another topic name: new records have their coordinates."""
    topic = stores.topic.name
    if not accept_loss:
        raise RefusedError(
            f"The topic {topic} was made again or has lost its newest records: what was never read of it is gone.",
            f"`lake rebuild {name} --accept-loss` notes that, keeps all rows under another topic name, and goes on.",
        )
    until = offset_ranges.held(stores.record_tables, topic)
    old_id = before.depends_on.get(start_checks.TOPIC_ID) if before else None
    retired = f"{topic}@{old_id or 'unknown'}-until-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    offset_ranges.accept_unknown(domain.name, retired, {part: int(offsets[-1]) + 1 for part, offsets in until.items()})
    paths = [str(table.path) for table in stores.record_tables if table.path.exists()]
    _run("lakehouse/ops/rename_topic.py", *paths, "--topic", topic, "--name", retired)
    return [f"The rows of the old topic {topic} are kept under the topic name {retired}."]


def _is_another(topic: TopicState, held: offset_ranges.Held, before: Sidecar | None) -> bool:
    """Whether the rows' coordinates mean other records than the topic's."""
    known = before.depends_on.get(start_checks.TOPIC_ID, topic.topic_id) if before else topic.topic_id
    return known != topic.topic_id or any(offsets[-1] >= topic.ends.get(part, 0) for part, offsets in held.items())


def _run(script: str, *options: str) -> None:
    command = [sys.executable, "-m", "lakehouse.spark.submit", script, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LakeError(f"{script} failed, and nothing was begun anew: {done.stderr.strip()[-300:]}")


def plan_records(held: offset_ranges.Held, topic: TopicState, begun: Mapping[int, int]) -> Plan:
    """Where to go on: at the first record of each partition that is not held and that the topic still has.

    A crash between two writes of one batch leaves gaps below the highest offset held. They are read again.
    """
    starts, held_until, lost = {}, {}, []
    for partition, first in sorted(topic.starts.items()):
        offsets = held.get(partition)
        if offsets is None:
            starts[partition] = first
            lost += _range(topic.name, partition, begun.get(partition, first), first)
            continue
        begin, end = min(first, int(offsets[0]), begun.get(partition, first)), int(offsets[-1]) + 1
        missing = offset_ranges.gaps(offsets, begin, max(end, first))
        lost += [each for start, stop in missing for each in _range(topic.name, partition, start, min(stop, first))]
        starts[partition] = next((max(start, first) for start, stop in missing if stop > first), max(end, first))
        if starts[partition] < end:
            held_until[partition] = end
    return Plan(starts, held_until, lost)


def _range(topic: str, partition: int, start: int, end: int) -> list[Range]:
    return [Range(topic, partition, start, end)] if start < end else []
