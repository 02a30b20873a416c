"""What must be in the lake, found from the topic with a plain consumer and the decoder and the count of the suite."""

from collections import Counter
from typing import Any

from confluent_kafka import KafkaException
from psycopg import OperationalError

from lakehouse.streaming import accepted_losses
from lakehouse.tables import table_io
from tests.e2e.running import read_topic
from tests.sites import Site
from tests.suite import Place


def records(site: Site) -> list[Any]:
    """Everything on the topic."""
    return read_topic(site.bootstrap_servers, site.suite.topic.name, site.partitions, {"log_level": 0})


def check(site: Site) -> list[str]:
    """Everything that is wrong, a sentence each; empty when nothing is. For events of which none is too late."""
    try:
        sent = records(site)
        views = site.suite.views_wrong(site, sent)
    except (KafkaException, OperationalError) as error:
        return [f"the broker or PostgreSQL does not answer: {error}"]
    return lost(site, sent) + conservation(site, sent) + views + batch_log(site, sent)


def lost(site: Site, sent: list[Any]) -> list[str]:
    """Each event whose sending was acknowledged is on the topic."""
    gone = sorted(set(range(site.sent)) - set(map(site.suite.number, sent)))
    return [f"{len(gone)} events are not on the topic though it acknowledged them: {gone[:5]}"] if gone else []


def conservation(site: Site, sent: list[Any]) -> list[str]:
    """Each record of the topic is in the history or in the dead letters, in the right one, and once."""
    given_up = {
        (partition, offset)
        for (_topic, partition), ranges in accepted_losses.accepted(site.domain).items()
        for offset in ranges.to_offsets().tolist()
    }
    first = {message.partition(): message.offset() for message in reversed(sent)}
    good = {_place(message) for message in sent if site.suite.decode(message)}
    bad = {_place(message) for message in sent} - good
    (tables,) = filter(None, (stores.record_tables for stores in site.suite.domain.query_tables.values()))
    wrong = []
    for table, expected in zip(tables, (good - given_up, bad - given_up), strict=True):
        stored = Counter(
            (row["partition"], row["offset"])
            for row in table_io.read(table, ["topic", "partition", "offset"]).to_pylist()
            if row["topic"] == site.suite.topic.name
        )
        twice = sorted(place for place, count in stored.items() if count > 1)
        missing = sorted(expected - stored.keys())
        foreign = sorted(place for place in stored.keys() - expected if place[1] >= first[place[0]])
        for what, places in (("twice", twice), ("not at all", missing), ("wrongly", foreign)):
            if places:
                wrong.append(f"{table.name} holds {len(places)} records {what}: {places[:5]}")
    return wrong


def _place(message: Any) -> Place:
    return message.partition(), message.offset()


def log_rows(site: Site) -> list[dict[str, Any]]:
    """The batch log of the domain's speed query."""
    (query,) = (name for name, stores in site.suite.domain.query_tables.items() if stores.state_tables)
    (log,) = (table for table in site.suite.domain.tables if table.name == f"{query}_batches")
    found: list[dict[str, Any]] = table_io.read(log).to_pylist()
    return found


def batch_log(site: Site, sent: list[Any]) -> list[str]:
    """Within a generation the batches of a partition follow on one another, each once, up to the topic's end."""
    ends, rows = {message.partition(): message.offset() + 1 for message in sent}, log_rows(site)
    wrong = []
    for partition, end in ends.items():
        spans = sorted((row["start_offset"], row["end_offset"]) for row in rows if row["partition"] == partition)
        spans = [span for span in spans if span[0] < span[1]]
        at = spans[0][0] if spans else 0
        for start, stop in spans:
            if start != at:
                wrong.append(f"the batch log of partition {partition} has {start} after {at}")
            at = stop
        if at != end:
            wrong.append(f"the batch log of partition {partition} ends at {at}, the topic at {end}")
    return wrong
