"""A domain of one topic, two tables of records and a view, whose rebuild is tested."""

from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.topics import TopicState
from lakehouse.streaming import checkpoints, sidecar
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import table_io
from lakehouse.tables.table_io import SERVING_PROPERTIES, Table
from tests.lakehouse.streaming.test_start_checks import BAD, EVENTS, TOPIC

VIEW = Table("line", "view", {"units": "BIGINT"}, ("units",), "units", SERVING_PROPERTIES)
STORES = {
    "events": QueryTables((TOPIC,), record_tables=(EVENTS, BAD)),
    "units": QueryTables((TOPIC,), state_tables=(VIEW,)),
    "answers": QueryTables((TOPIC,)),
}
RUNS = (Process("stream", Job("stream.py"), ("events", "units", "answers")),)
EVENTS_ALONE = Process("stream", Job("stream.py"), ("events",))
LINE = Domain("line", "Line", (TOPIC,), (EVENTS, BAD, VIEW), STORES, BAD, processes=RUNS)


def together(*states: TopicState) -> TopicState:
    """Topics as `existing` gives them."""
    ids: dict[str, str] = {}
    starts: dict[TopicPartition, int] = {}
    ends: dict[TopicPartition, int] = {}
    for one in states:
        ids, starts, ends = ids | one.ids, starts | dict(one.starts), ends | dict(one.ends)
    return TopicState(ids, starts, ends)


def hold(table: Table, topic: str = "line", **offsets: list[int]) -> None:
    values = [
        {"topic": topic, "partition": int(partition[1:]), "offset": offset}
        for partition, found in offsets.items()
        for offset in found
    ]
    delta = table_io.create(table)
    table_io.append(delta, table_io.rows(table, values), "test", delta.version() + 1)


def begun() -> Sidecar:
    kept = sidecar.read(checkpoints.path("line", "events"))
    assert kept
    return kept
