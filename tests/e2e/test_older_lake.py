"""Today's platform on the var/ that an earlier version wrote (tests/fixtures): it goes on where that one stopped."""

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition

from jobs.houses.schema import SALES
from lakehouse.kafka import topics
from lakehouse.settings import ROOT
from lakehouse.streaming import sidecar
from tests.conftest import running_broker
from tests.e2e.running import Platform, read_topic, rows_of, wait_for

pytestmark = pytest.mark.e2e
FIXTURE = ROOT / "tests/fixtures/var-of-499740c.tar.xz"
ENDS = {0: 88, 1: 77, 2: 70, 3: 68}  # of its topic: 300 sales and three dead letters


def delete_records(bootstrap_servers: str, partitions: tuple[int, ...]) -> bool:
    """Delete all that the partitions have, as retention does; False while the broker does not lead them yet."""
    taken = [TopicPartition(SALES.name, partition, ENDS[partition]) for partition in partitions]
    try:
        for done in topics.admin(bootstrap_servers).delete_records(taken).values():
            done.result(30)
    except KafkaException:
        return False
    return True


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Platform]:
    """The older lake with its broker running; of two partitions retention has taken the records.

    Once the fixture is a week old, Kafka deletes those of the other two as well: nothing may depend on them.
    """
    var = tmp_path / "var"
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(var, filter="data")
    with running_broker(var) as bootstrap_servers:
        wait_for(lambda: delete_records(bootstrap_servers, (0, 1)), 60, "the deletion of records")
        env = {**os.environ, "LAKE_VAR": str(var), "LAKE_BOOTSTRAP_SERVERS": bootstrap_servers, "COLUMNS": "200"}
        yield Platform(bootstrap_servers, var, env)


def places(rows: list[dict[str, Any]]) -> set[tuple[int, int]]:
    return {(row["partition"], row["offset"]) for row in rows if row["partition"] is not None}


def averages(rows: list[dict[str, Any]]) -> dict[Any, tuple[int, int]]:
    return {(row["window_start"], row["decade"]): (row["sales"], row["sum_cents"]) for row in rows}


def checkpoints(var: Path) -> dict[str, tuple[str, list[int]]]:
    """What the files beside the checkpoints say by today's code: the checkpoint's id and where its reading began."""
    found = {name: sidecar.read(var / "checkpoints/houses" / name) for name in ("history", "averages")}
    return {name: (one.generation, [*one.starts.values()]) for name, one in found.items() if one is not None}


def test_an_older_lake_goes_on(older: Platform) -> None:
    before = checkpoints(older.var)
    assert before == {
        "history": ("05e4fec6-99e6-4728-bdb4-508af46952a5", [0, 0, 0, 0]),
        "averages": ("ab0251a6-389f-4447-b20f-13455086d584", [0, 0, 0, 0]),
    }
    history, letters, speed = (rows_of(older, name) for name in ("history", "dead_letters", "averages"))
    begun = {row["generation"] for row in rows_of(older, "averages_batches")}
    assert (len(history), len(letters), len(speed), len(begun)) == (900, 3, 12, 1)

    older.run("produce.py", "--count", "60", "--rate", "0", "--seed", "5")
    older.run("stream.py", "--trigger", "available-now")

    sent = [message for message in read_topic(older.bootstrap_servers, SALES.name, 4) if is_new(message)]
    assert len(sent) == 60
    now = rows_of(older, "history")
    assert len(now) == 960
    assert places(now) == places(history) | {(message.partition(), message.offset()) for message in sent}
    assert rows_of(older, "dead_letters") == letters
    assert {row["generation"] for row in rows_of(older, "averages_batches")} == begun  # the same checkpoint goes on
    assert checkpoints(older.var) == before
    live = rows_of(older, "averages")
    assert averages(speed).items() <= averages(live).items()
    assert sum(row["sales"] for row in live) == 360
    assert all(row["is_final"] for row in live if row["window_start"] == speed[0]["window_start"])

    older.run("recompute.py")
    assert averages(rows_of(older, "averages_batch")) == averages(live)
    assert {row["cause"] for row in rows_of(older, "parity")} == {"equal"}

    [audited] = json.loads(older.lake_output("audit", "houses", "--json"))
    assert audited["clean"], audited
    assert {part["partition"] for part in audited["partitions"] if part["rests_on"]} >= {0, 1}  # on the older audit

    known = rows_of(older, "prices")[0]
    answer = json.loads(older.lake_output("price", known["id"], "--json"))
    assert (answer["price"], answer["version"]) == (pytest.approx(known["price"]), "v0001")
    assert "v0001" in older.lake_output("models", "list")


def is_new(message: Any) -> bool:
    return bool(message.offset() >= ENDS[message.partition()])
