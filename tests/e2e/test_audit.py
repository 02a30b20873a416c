"""`lake audit` over a lake that the real queries wrote from a real topic, and each kind of damage that it must find."""

import functools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from jobs.houses import recompute
from jobs.houses.schema import AVERAGES, AVERAGES_BATCH, AVERAGES_BATCHES, DEAD_LETTERS, DOMAIN, HISTORY, SALES
from lakehouse.audit import processes, results, run
from lakehouse.errors import RefusedError
from lakehouse.kafka import topics
from lakehouse.ops.rebuild import rebuild
from lakehouse.settings import settings
from lakehouse.tables import table_io
from tests.e2e.running import drain
from tests.jobs.houses.sales import event
from tests.jobs.houses.suite import queries

pytestmark = pytest.mark.e2e
Result = dict[str, Any]
GOOD = 400
BASE = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
BAD = [None, b"", b"{", b"\xff", b"[]", b"x" * 300_000, json.dumps(event(price=-1)).encode(), b'{"id": "a"}']


class Lake:
    """A topic, and the houses queries over it in this process."""

    def __init__(self, spark: SparkSession, broker: str) -> None:
        self.spark, self.broker = spark, broker
        self.sent = 0

    def send(self, *events: dict[str, Any] | bytes | None, after: float = 600) -> None:
        """Sales and others, over the partitions in turn, recorded so many seconds past BASE."""
        producer = Producer({"bootstrap.servers": self.broker, "message.max.bytes": 4_000_000})
        millis = int((BASE + timedelta(seconds=after)).timestamp() * 1000)
        for one in events:
            value = json.dumps(one).encode() if isinstance(one, dict) else one
            producer.produce(SALES.name, value, b"k", partition=self.sent % 4, timestamp=millis)
            self.sent += 1
        assert producer.flush(30) == 0

    def drain(self, *names: str, step: int = 80) -> None:
        """Run the queries, or one of them, over what is there, in batches of some records."""
        chosen = [query for query in queries(self.broker) if not names or query.name in names]
        drain(self.spark, self.broker, chosen, step)

    def audit(self) -> Result:
        """The result of an audit now, as `--json` prints it."""
        return run.audit("houses", self.broker).to_dict()


def sale(number: int, seconds: float, **changes: Any) -> dict[str, Any]:
    sold = (BASE + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    built, price = 1900 + number % 110, 100_000 + number * 7 / 100
    return event(id=str(number + 1), event_id=f"e-{number}", sold_at=sold, yr_built=built, price=price, **changes)


def in_var(folder: Path) -> None:
    os.environ["LAKE_VAR"] = str(folder)
    settings.cache_clear()


@pytest.fixture(scope="module")
def lake(spark: SparkSession, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A topic with good, bad, late, resent and future events, drained by both queries in many batches, recomputed."""
    in_var(tmp_path_factory.mktemp("lake") / "var")
    topics.ensure(broker, DOMAIN.topics)
    lake = Lake(spark, broker)
    draw = random.Random(6)
    times = [number * 1.5 - draw.choice([0, 0, 5, 40, 100, 200]) for number in range(GOOD)]  # many are late
    sales = [sale(number, seconds) for number, seconds in enumerate(times)]
    future = [event(sold_at="2099-01-01T00:00:00Z"), sale(1, 600 + 301)]
    mixed: list[Any] = [*sales[:200], *BAD, *future, *sales[:20], *sales[200:], *sales[150:220]]
    lake.send(*mixed, after=GOOD * 1.5)
    lake.drain()
    in_two = recompute.recompute(spark, "2 minutes", None)
    assert in_two.parity.where("cause = 'unexplained'").count() == 0
    yield lake
    os.environ.pop("LAKE_VAR")
    settings.cache_clear()


@pytest.fixture
def damaged(lake: Lake, tmp_path: Path) -> Iterator[Lake]:
    """The same over a copy of the lake, to be damaged."""
    before = settings().var
    shutil.copytree(before, tmp_path / "var")
    in_var(tmp_path / "var")
    yield lake
    in_var(before)


def found(result: Result) -> dict[str, list[Any]]:
    """What is off, with the places named."""
    findings: dict[str, list[Any]] = {}
    for part in result["partitions"]:
        findings |= {one["what"]: [(part["partition"], at) for at in one["places"]] for one in part["findings"]}
    for view in result["views"]:
        findings |= {f"{view['table']}: {one['what']}": one["places"] for one in view["findings"]}
    return findings


def test_a_lake_of_good_bad_late_resent_and_future_events_is_clean(lake: Lake) -> None:
    result = lake.audit()
    assert (found(result), result["clean"]) == ({}, True)
    assert result["records"] == lake.sent
    assert sum(part["dead_letters"] for part in result["partitions"]) == len(BAD) + 2
    assert sum(part["history"] for part in result["partitions"]) == lake.sent - len(BAD) - 2
    speed, batch = result["views"]
    assert speed["late"] > 20
    assert (speed["waiting"], speed["rows"] > 30, batch["rows"] >= speed["rows"]) == (0, True, True)
    last = results.last("houses")
    assert last is not None
    assert last.to_dict() == json.loads(json.dumps(result))


def test_many_slices_say_the_same_as_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lake.audit()
    monkeypatch.setattr(run, "SLICE", 37)
    monkeypatch.setattr(processes, "WORTH_HELPERS", 0)
    result = lake.audit()
    assert (result["clean"], result["views"]) == (True, whole["views"])
    counted = ("records", "history", "dead_letters", "from", "to", "without_record")
    for part, one in zip(result["partitions"], whole["partitions"], strict=True):
        assert {name: part[name] for name in counted} == {name: one[name] for name in counted}


Damage = Callable[[], Any]


def _change(table: Any, updates: dict[str, str], where: str) -> None:
    changed = DeltaTable(table.path).update(updates=updates, predicate=where)
    assert changed["num_updated_rows"] == 1


def _delete(table: Any, where: str) -> None:
    assert DeltaTable(table.path).delete(where)["num_deleted_rows"] == 1


def _one(table: Any, name: str) -> Any:
    return DeltaTable(table.path).to_pyarrow_table()[name][0].as_py()


def _row(table: Any) -> str:
    start, decade = _one(table, "window_start"), _one(table, "decade")
    return f"window_start = '{start.isoformat()}' AND decade = {decade}"


def _key(table: Any) -> str:
    return f"{_one(table, 'window_start'):%Y-%m-%d %H:%M:%S} decade {_one(table, 'decade')}"


SPOT = "partition = 1 AND offset = 7"
LOST = "lost: neither in history nor in dead letters"


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda: _delete(HISTORY, SPOT), LOST),
        (lambda: _change(HISTORY, {"offset": "8"}, SPOT), "twice"),
        (lambda: _change(HISTORY, {"offset": "8"}, SPOT), LOST),
        (lambda: _change(HISTORY, {"price": "price + 0.01"}, SPOT), "differs from the topic"),
        (lambda: _change(HISTORY, {"grade": "NULL"}, SPOT), "differs from the topic"),
        (lambda: _change(HISTORY, {"offset": "100000"}, SPOT), "in history, but the topic never had it"),
    ],
)
def test_damage_to_the_history_is_found_with_its_offset(damaged: Lake, damage: Damage, what: str) -> None:
    damage()
    result = damaged.audit()
    assert not result["clean"]
    place = {"twice": (1, 8), "in history, but the topic never had it": (1, 100_000)}.get(what, (1, 7))
    assert place in found(result)[what]


def test_a_row_doubled_in_the_history_is_found(damaged: Lake) -> None:
    delta = DeltaTable(HISTORY.path)
    row = delta.to_pyarrow_table(filters=[("partition", "=", 2), ("offset", "=", 3)])
    assert row.num_rows == 1
    write_deltalake(delta, row, mode="append")
    assert found(damaged.audit()) == {"twice": [(2, 3)]}


def test_damage_to_dead_letters_is_found(damaged: Lake) -> None:
    letter = DeltaTable(DEAD_LETTERS.path).to_pyarrow_table().slice(0, 1).to_pylist()[0]
    place = letter["partition"], letter["offset"]
    where = f"partition = {place[0]} AND offset = {place[1]}"
    _change(DEAD_LETTERS, {"value": "X'00'"}, where)
    assert found(damaged.audit()) == {"a dead letter, but not the bytes that came": [place]}
    _delete(DEAD_LETTERS, where)
    assert found(damaged.audit()) == {LOST: [place]}


def test_a_valid_sale_among_the_dead_letters_is_found(damaged: Lake) -> None:
    kept = DeltaTable(HISTORY.path).to_pyarrow_table(filters=[("partition", "=", 1), ("offset", "=", 7)])
    letter = {name: kept[name][0].as_py() for name in ("topic", "partition", "offset", "recorded_at")}
    write_deltalake(DeltaTable(DEAD_LETTERS.path), table_io.rows(DEAD_LETTERS, [letter]), mode="append")
    _delete(HISTORY, SPOT)
    assert found(damaged.audit()) == {"a dead letter, but valid": [(1, 7)]}


@pytest.mark.parametrize("table", [AVERAGES, AVERAGES_BATCH], ids=lambda table: table.name)
def test_damage_to_averages_is_found_with_the_key(damaged: Lake, table: Any) -> None:
    key, where = _key(table), _row(table)
    _change(table, {"sum_cents": "sum_cents + 1"}, where)
    assert found(damaged.audit()) == {f"{table.name}: row differs": [key]}
    _delete(table, where)
    assert found(damaged.audit()) == {f"{table.name}: row missing": [key]}


def test_a_batch_gone_from_the_log_is_found(damaged: Lake) -> None:
    DeltaTable(AVERAGES_BATCHES.path).delete("batch_id = 2")
    findings = found(damaged.audit())
    assert findings["averages: batch not in the log"] == [2]


def test_the_command_says_what_is_off_and_exits_1(damaged: Lake) -> None:
    command = [str(Path(sys.executable).parent / "lake"), "audit"]
    env = {**os.environ, "LAKE_BOOTSTRAP_SERVERS": damaged.broker, "NO_COLOR": "1", "COLUMNS": "160"}
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=False, env=env, cwd="/")
    done = run([*command, "houses"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "Clean: each record is once in history or dead letters" in done.stdout
    _delete(HISTORY, SPOT)
    done = run([*command, "--json"])
    assert done.returncode == 1
    assert "1 lost: neither in history nor in dead letters: houses 1, offsets 7" in done.stderr
    assert json.loads(done.stdout)[0]["clean"] is False
    env["LAKE_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    done = run(command)
    assert (done.returncode, done.stderr[:42]) == (69, "Error: No Kafka broker answers at 127.0.0.")


def test_what_the_history_has_not_read_is_not_lost(lake: Lake) -> None:
    """Runs late in the file: the topic grows for good."""
    lake.send(*[sale(number, 700) for number in range(40)], after=700)
    result = lake.audit()
    assert (result["clean"], sum(part["waiting"] for part in result["partitions"])) == (True, 40)
    lake.drain("averages", step=1000)  # the averages are ahead of the history: their rows are made from the topic
    result = lake.audit()
    assert (found(result), sum(part["waiting"] for part in result["partitions"])) == ({}, 40)


def test_aborted_records_are_not_lost(lake: Lake) -> None:
    producer = Producer({"bootstrap.servers": lake.broker, "transactional.id": "t"})
    producer.init_transactions(30)
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        value = json.dumps(sale(1, 700)).encode()
        producer.produce(SALES.name, value, partition=0, timestamp=int(BASE.timestamp() * 1000) + 700_000)
        assert producer.flush(30) == 0  # else what is aborted never comes to the broker
        end(30)
    lake.drain(step=1000)
    result = lake.audit()
    assert (found(result), result["partitions"][0]["without_record"]) == ({}, 3)


def test_what_retention_removed_rests_on_the_audit_before(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lake.audit()
    cut = [TopicPartition(SALES.name, 1, 20), TopicPartition(SALES.name, 2, 5)]
    for future in topics.admin(lake.broker).delete_records(cut).values():
        future.result(30)
    result = lake.audit()
    assert found(result) == {}
    part = result["partitions"][1]
    assert [(one["from"], one["to"], one["at"]) for one in part["rests_on"]] == [(0, 20, before["at"])]
    assert result["partitions"][2]["not_covered"] == []
    _delete(HISTORY, SPOT)
    assert found(lake.audit())["gone since the last audit"] == [(1, 7)]
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", lake.broker)
    settings.cache_clear()
    with pytest.raises(RefusedError, match=r"houses\[1\] 7 to 7 \(1 records\)"):
        rebuild("houses.history", accept_loss=False)
    rebuild("houses.history", accept_loss=True)
    assert "gone since the last audit" not in found(lake.audit())
    shutil.rmtree(results.folder("houses"))
    partition = lake.audit()["partitions"][1]
    assert (partition["not_covered"], partition["rests_on"]) == ([[0, 20]], [])
