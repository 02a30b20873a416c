"""Both queries failed at every point of every batch, and begun anew after every loss.

Then each protection is switched off once, to see that the check tells.
"""

import random
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions

from jobs.houses import stream, transforms
from jobs.houses.schema import AVERAGES, DOMAIN, HISTORY, LATENESS, SALES, WINDOW
from jobs.houses.stream import QueryName
from lakehouse import backoff, checkpoints, faults, guard, losses, retire, state, streams, tables, topics
from lakehouse.errors import LakeError, RefusedError
from lakehouse.rebuild import rebuild
from lakehouse.sidecar import Sidecar
from lakehouse.streams import Runner, StopSignal
from tests.audit import crashes, oracle
from tests.audit.place import Site, wait_until
from tests.conftest import running_broker

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800), pytest.mark.usefixtures("calm")]
BOTH = tuple(QueryName)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A topic with sales, an event dated 2099 among the first; tests share it, each with a lake of its own."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as bootstrap_servers:
        topics.ensure(bootstrap_servers, DOMAIN.topics)
        site = Site(bootstrap_servers, Path(), random.Random(7))
        site.send(10)
        site.send(0, future=1)
        site.send(crashes.SALES - 10)
        yield site


@pytest.fixture
def site(sent: Site, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The topic, and an empty lake."""
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", sent.bootstrap_servers)
    sent.var = lake
    return sent


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Queries start again at once, however often they fail; the JVM and the signals of the tests stay as they are."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    monkeypatch.setattr(streams, "stop_jvm", lambda spark: None)
    monkeypatch.setattr(backoff, "wait_after", lambda failures: 0.0)
    monkeypatch.setattr(backoff, "MAX_FAILURES", 1000)
    yield
    for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def run(spark: Any, site: Site) -> Callable[..., None]:
    """Runs queries to the end of what is on the topic."""

    def run(*names: QueryName, most: int = int(crashes.PER_BATCH), window: str = WINDOW) -> None:
        queries = stream.build(names or BOTH, site.bootstrap_servers, window=window, slide=None, lateness=LATENESS)
        Runner(spark, site.bootstrap_servers, SALES.name, StopSignal(), most).run(queries, "available-now")

    return run


def records(site: Site) -> list[Any]:
    """Everything on the topic."""
    return oracle.read_topic(site.bootstrap_servers, SALES.name, SALES.partitions)


def conservation(site: Site) -> list[str]:
    """What is wrong with the tables of records."""
    return oracle.conservation(records(site))


def averages(site: Site) -> list[str]:
    """What is wrong with the averages."""
    return oracle.averages(records(site))


def fail_at(monkeypatch: pytest.MonkeyPatch, wanted: Sequence[str], times: int = 1) -> dict[str, int]:
    """Have the points fail as often; how often each is still to fail."""
    left = dict.fromkeys(wanted, times)

    def point(name: str, batch_id: int) -> None:
        if left.get(f"{name}:{batch_id}", 0):
            left[f"{name}:{batch_id}"] -= 1
            raise RuntimeError(f"failed at {name}:{batch_id}")

    monkeypatch.setattr(faults, "point", point)
    return left


def test_failed_at_every_point_of_every_batch(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = fail_at(monkeypatch, crashes.every())
    run()
    assert set(left.values()) == {0}, "a point was not met"
    assert oracle.check(site) == []


def test_a_query_that_fails_five_times_is_left_alone_and_the_other_runs_on(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "MAX_FAILURES", 5)
    left = fail_at(monkeypatch, ["averages.before:1"], times=99)
    with pytest.raises(LakeError, match=r"houses\.averages stopped: .*failed at averages\.before:1.* 5 times in a row"):
        run()
    assert left == {"averages.before:1": 94}
    told = {query: state.read_json(state.progress_file("houses", query)) for query in DOMAIN.queries}
    assert (told["averages"]["state"], told["averages"]["restarts"]) == ("failed", 4)
    assert "failed at averages.before:1" in told["averages"]["error"]
    assert (told["history"]["state"], told["history"]["error"]) == ("finished", "")
    assert conservation(site) == []


@pytest.mark.parametrize("query", BOTH)
def test_a_lost_checkpoint_is_refused_and_rebuilt(
    site: Site, run: Callable[..., None], query: QueryName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch is torn, too: its first table was written, its second one not."""
    monkeypatch.setattr(backoff, "MAX_FAILURES", 1)
    torn = {QueryName.history: "history.appended:2", QueryName.averages: "averages.upserted:2"}[query]
    fail_at(monkeypatch, [torn])
    with pytest.raises(LakeError, match="failed at"):
        run()
    shutil.rmtree(checkpoints.path("houses", query))
    with pytest.raises(RefusedError, match=f"`lake rebuild houses.{query}`"):
        run()
    rebuild(f"houses.{query}", False)
    fail_at(monkeypatch, [f"{query}.before:0"])  # killed before it wrote, it must go on as what it is: rebuilt
    with pytest.raises(LakeError, match="failed at"):
        run()
    run()
    assert oracle.check(site) == []


def test_another_window_on_old_state_is_refused(run: Callable[..., None]) -> None:
    run(QueryName.averages)
    with pytest.raises(RefusedError, match=r"window was '2 minutes' and is now '5 minutes'.*rebuild houses\.averages`"):
        run(QueryName.averages, window="5 minutes")
    rebuild("houses.averages", False)
    run(QueryName.averages, window="5 minutes")
    lengths = {row["window_end"] - row["window_start"] for row in tables.read(AVERAGES).to_pylist()}
    assert lengths == {timedelta(minutes=5)}


def test_a_commit_without_bytes_is_refused_and_its_rows_are_read_again(site: Site, run: Callable[..., None]) -> None:
    run()
    newest = max((HISTORY.path / "_delta_log").glob("*.json"))
    newest.write_bytes(b"")
    newest.with_name(f".{newest.name}.crc").unlink()
    with pytest.raises(RefusedError, match=f"the table history is damaged, {newest} has no bytes"):
        run()
    rebuild("houses.history", False)
    run()
    assert oracle.check(site) == []


# Each protection switched off: the check must tell.


def plain_append(frame: Any, table: Any, app_id: str, batch_id: int) -> bool:
    """Without transaction ids, as Spark's documentation writes it."""
    frame.select(*table.columns).write.format("delta").mode("append").save(str(table.path))
    return True


def test_control_without_transaction_ids_a_replayed_batch_is_there_twice(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "append_batch", plain_append)
    monkeypatch.setattr(guard, "_is_ours", lambda start, before: None)  # it, too, would tell: no batch is recorded
    fail_at(monkeypatch, ["history.appended:1"])
    run(QueryName.history)
    assert any("history holds" in line and "twice" in line for line in conservation(site))


def test_control_with_a_fixed_transaction_id_a_new_checkpoint_loses_records(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "app_id", lambda generation, query: query)
    monkeypatch.setattr(guard, "check", lambda start: Sidecar(start.depends_on, starts=start.topic.starts))
    run(QueryName.history)
    shutil.rmtree(checkpoints.path("houses", "history"))
    site.send(40)
    run(QueryName.history, most=200)
    assert any("history holds" in line and "not at all" in line for line in conservation(site))


def test_control_without_the_guard_against_the_future_one_event_silences_all_windows(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = transforms._time_rules
    monkeypatch.setattr(transforms, "_time_rules", lambda: rules()[:1])
    run(QueryName.averages)
    assert any("averages differ" in line for line in averages(site))
    sales = sum(row["sales"] for row in tables.read(AVERAGES).to_pylist())
    assert sales < sum(oracle.decode(message) is not None for message in records(site))


def test_control_reading_from_the_latest_offset_loses_what_was_there(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = streams.read_topic

    def latest(spark: Any, servers: str, topic: str, starts: Any, most: int) -> Any:
        return read(spark, servers, topic, dict.fromkeys(starts, -1), most)  # -1 is Spark's word for it

    monkeypatch.setattr(streams, "read_topic", latest)
    run(QueryName.history)
    assert any("history holds" in line and "not at all" in line for line in conservation(site))


def test_control_an_upsert_that_adds_counts_sales_again(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = tables.upsert

    def add(delta: Any, data: pa.Table, keys: Sequence[str], app_id: str, version: int, bound: str = "") -> bool:
        before = {tuple(row[key] for key in keys): row["sales"] for row in tables.read(AVERAGES).to_pylist()}
        sales = [row["sales"] + before.get(tuple(row[key] for key in keys), 0) for row in data.to_pylist()]
        data = data.set_column(data.column_names.index("sales"), "sales", pa.array(sales, pa.int64()))
        return upsert(delta, data, keys, app_id, version, bound)

    monkeypatch.setattr(tables, "upsert", add)
    run(QueryName.averages)
    assert any("averages differ" in line for line in averages(site))


def test_control_without_the_filter_a_rebuild_doubles_what_a_torn_batch_had_written(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "MAX_FAILURES", 1)
    fail_at(monkeypatch, ["history.appended:1"])
    with pytest.raises(LakeError, match="failed at"):
        run(QueryName.history)
    rebuild("houses.history", False)
    monkeypatch.setattr(stream, "without_held", lambda frame, batch, stores: frame)
    run(QueryName.history)
    assert any("history holds" in line and "twice" in line for line in conservation(site))


# Last, since they take records from the topic that all share.


def test_records_that_retention_took_are_refused_then_noted(site: Site, run: Callable[..., None]) -> None:
    run(QueryName.history)
    site.send(60)
    (end,) = topics.end_offsets(site.bootstrap_servers, SALES.name, [1]).values()
    client = topics.admin(site.bootstrap_servers)
    for future in client.delete_records([TopicPartition(SALES.name, 1, end - 3)]).values():
        future.result(30)
    with pytest.raises(RefusedError, match=r"retention has removed records.* houses\[1\] .*--accept-loss"):
        run(QueryName.history)
    with pytest.raises(RefusedError, match="no table holds"):
        rebuild("houses.history", False)
    rebuild("houses.history", True)
    run(QueryName.history)
    assert conservation(site) == []
    (lost,) = losses.accepted("houses")
    assert (lost.partition, lost.end) == (1, end - 3)


def test_a_topic_made_again_is_refused_and_its_old_rows_are_kept_apart(
    spark: Any, site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(QueryName.history)
    old = tables.read(HISTORY).num_rows
    client = topics.admin(site.bootstrap_servers)
    client.delete_topics([SALES.name])[SALES.name].result(30)
    wait_until(lambda: topics.state(site.bootstrap_servers, SALES.name) is None, 60, "the topic's end")
    topics.ensure(site.bootstrap_servers, DOMAIN.topics)
    site.send(300)  # more than there were: by its offsets alone nobody could tell
    with pytest.raises(RefusedError, match=r"deleted and made again.*rebuild houses\.history --accept-loss`"):
        run(QueryName.history)
    with pytest.raises(RefusedError, match="what was never read of it is gone"):
        rebuild("houses.history", False)

    def in_this_session(_script: str, *options: str) -> None:
        *paths, _, topic, _, name = options
        retire.retire(spark, [Path(path) for path in paths], topic, name)

    monkeypatch.setattr("lakehouse.rebuild._run", in_this_session)
    rebuild("houses.history", True)
    run(QueryName.history)
    assert conservation(site) == []
    assert sum(name != SALES.name for name in tables.read(HISTORY)["topic"].to_pylist()) == old


def test_partitions_added_to_the_topic_are_read_from_their_first_record(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    added = NewPartitions(SALES.name, 6)
    topics.admin(site.bootstrap_servers).create_partitions([added])[SALES.name].result(30)
    monkeypatch.setattr("tests.audit.place.PARTITIONS", 6)
    site.send(60)
    run()
    every = oracle.read_topic(site.bootstrap_servers, SALES.name, 6)
    assert {message.partition() for message in every} == set(range(6))
    assert oracle.conservation(every) + oracle.averages(every) == []
