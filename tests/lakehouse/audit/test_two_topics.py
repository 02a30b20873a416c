"""Topics whose partitions have the same numbers and begin elsewhere: through kills, refusals, rebuilds and an audit."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as Place

from lakehouse.audit import contract, inputs, run
from lakehouse.contract.topics import Topic
from lakehouse.core import kill_points, restart_policy
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import RefusedError
from lakehouse.kafka import topics
from lakehouse.ops import rebuild
from lakehouse.settings import ROOT, settings
from lakehouse.streaming import checkpoints, runner
from lakehouse.streaming.checkpoints import SHUFFLE_PARTITIONS, STATE_STORE
from lakehouse.tables import table_io
from tests.conftest import running_broker
from tests.lakehouse.audit import pair

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800)]
FIRSTS = {"left": (0, 5, 9), "right": (20, 0, 3), "other": (1, 30, 0)}  # by partition, once records were deleted
PER_BATCH = 60
SENT = 40  # records in each partition
POINTS = {"history": ("before", "appended", "written"), "counts": ("before", "upserted", "logged", "written")}


class Line:
    """The broker with its topics, and every record that they have."""

    def __init__(self, bootstrap_servers: str, lake: Path) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.lake = lake
        self.values: dict[tuple[str, int, int], bytes] = {}

    def send(self, of: Sequence[Topic], count: int) -> None:
        """Send as many to each partition of the topics, every seventh no number."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, "acks": "all"})

        def sent(_error: Any, message: Any) -> None:
            self.values[message.topic(), message.partition(), message.offset()] = message.value()

        for number in range(count * len(of) * pair.PARTITIONS):
            topic = of[number % len(of)]
            value = b"none" if number % 7 == 3 else b"%d" % number
            producer.produce(topic.name, value, partition=number // len(of) % pair.PARTITIONS, on_delivery=sent)
        assert producer.flush(30) == 0

    def delete(self) -> None:
        """Delete the first records, as retention does."""
        ends = [
            Place(name, part, first) for name, firsts in FIRSTS.items() for part, first in enumerate(firsts) if first
        ]
        for done in topics.admin(self.bootstrap_servers).delete_records(ends).values():
            done.result(30)
        gone = {(name, part): first for name, firsts in FIRSTS.items() for part, first in enumerate(firsts)}
        self.values = {place: value for place, value in self.values.items() if place[2] >= gone[place[:2]]}

    def killed_at(self, fault: str) -> None:
        """Run the query as a process of its own until it is killed there."""
        query, _, _ = fault.partition(".")
        command = [sys.executable, "-m", "lakehouse.spark.submit", str(Path(pair.__file__).relative_to(ROOT))]
        with (self.lake.parent / "stream.log").open("ab") as log:
            done = subprocess.run(
                [*command, query, str(PER_BATCH)],
                check=False,
                cwd=ROOT,
                env={**os.environ, "LAKE_FAULT": fault},
                stdout=log,
                stderr=log,
            )
        assert done.returncode == -signal.SIGKILL, (self.lake.parent / "stream.log").read_text()[-2000:]

    def of(self, *of: Topic) -> dict[tuple[str, int, int], bytes]:
        """The records of the topics."""
        return {place: value for place, value in self.values.items() if place[0] in {topic.name for topic in of}}


@pytest.fixture
def line(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The topics, with records deleted; the domain is found where the real ones are."""
    with running_broker(tmp_path) as bootstrap_servers:
        monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", bootstrap_servers)
        settings.cache_clear()
        lake.mkdir(exist_ok=True)
        topics.ensure(bootstrap_servers, pair.DOMAIN.topics)
        for module in (rebuild, inputs):
            monkeypatch.setattr(module, "load", lambda name: pair.DOMAIN)
        monkeypatch.setattr(contract, "audit", lambda name: pair.AUDIT)
        made = Line(bootstrap_servers, lake)
        made.send(pair.DOMAIN.topics, SENT)
        made.delete()
        yield made


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries start again at once; the JVM of the tests stays."""
    monkeypatch.setattr(runner, "stop_jvm", lambda spark: None)
    monkeypatch.setattr(restart_policy, "wait_after", lambda failures: 0.0)
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1000)


def drain(spark: Any, line: Line, conf: Mapping[str, str] = pair.CONF) -> None:
    """Run both queries to the end of what is on the topics."""
    runner.Runner(spark, line.bootstrap_servers, StopSignal(), PER_BATCH).run(pair.queries(conf), "available-now")


def check(line: Line) -> None:
    """Each record once, each count as the records make it, each batch where the one before ended; and a clean audit."""
    good, bad = ([(row["topic"], row["partition"], row["offset"]) for row in table_io.read(table).to_pylist()]
                 for table in (pair.HISTORY, pair.DEAD_LETTERS))  # fmt: skip
    records = line.of(pair.LEFT, pair.RIGHT)
    assert sorted(good) == sorted(place for place, value in records.items() if value.isdigit())
    assert sorted(bad) == sorted(place for place, value in records.items() if not value.isdigit())
    read = line.of(pair.RIGHT, pair.OTHER)
    counts = Counter((place[0], int(value) % 4) for place, value in read.items() if value.isdigit())
    rows = table_io.read(pair.COUNTS).to_pylist()
    assert {(row["topic"], row["remainder"]): row["numbers"] for row in rows} == dict(counts)
    following: dict[tuple[str, int], int] = {}
    for row in table_io.read(pair.BATCHES).sort_by("batch_id").to_pylist():
        where = row["topic"], row["partition"]
        assert row["start_offset"] == following.get(where, FIRSTS[where[0]][where[1]]), row
        following[where] = row["end_offset"]
    assert following == {where: 1 + max(at for *here, at in read if tuple(here) == where) for where in following}
    assert len(following) == 2 * pair.PARTITIONS
    result = run.audit("pair", line.bootstrap_servers)
    assert result.clean, result
    assert [(part.topic, part.partition) for part in result.partitions] == sorted({place[:2] for place in records})
    assert result.records == len(records)


@pytest.mark.usefixtures("calm")
def test_two_topics_of_equal_partitions_go_through_kills_rebuilds_and_the_audit(
    spark: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.killed_at("history.appended:1")
    line.killed_at("counts.upserted:1")
    every = [f"{query}.{point}:{batch}" for query, points in POINTS.items() for batch in (2, 3) for point in points]
    left = fail_at(monkeypatch, every)
    drain(spark, line)
    assert [point for point, times in left.items() if times] == []
    check(line)

    shutil.rmtree(checkpoints.path("pair", "history"))
    line.send(pair.DOMAIN.topics, 4)
    with pytest.raises(RefusedError, match=r"`lake rebuild pair\.history`"):
        drain(spark, line)
    rebuild.rebuild("pair.history", False)
    drain(spark, line)
    check(line)

    assert checkpoints.state_partitions(checkpoints.path("pair", "counts")) == 3
    drain(spark, line, {**pair.CONF, SHUFFLE_PARTITIONS: "2"})  # the state keeps its partitions
    other = {SHUFFLE_PARTITIONS: "2", STATE_STORE: pair.ROCKS.replace("RocksDB", "HDFSBacked")}
    with pytest.raises(RefusedError, match=r"its state is kept by .*RocksDB.*now .*HDFS.*`lake rebuild pair\.counts`"):
        drain(spark, line, other)
    rebuild.rebuild("pair.counts", False)
    line.send(pair.DOMAIN.topics, 4)
    drain(spark, line, other)
    assert checkpoints.state_partitions(checkpoints.path("pair", "counts")) == 2
    check(line)


def fail_at(monkeypatch: pytest.MonkeyPatch, wanted: Sequence[str]) -> dict[str, int]:
    """Have each point fail once; which of them are still to fail."""
    left = dict.fromkeys(wanted, 1)

    def point(name: str, batch_id: int) -> None:
        if left.get(f"{name}:{batch_id}", 0):
            left[f"{name}:{batch_id}"] -= 1
            raise RuntimeError(f"failed at {name}:{batch_id}")

    monkeypatch.setattr(kill_points, "point", point)
    return left
