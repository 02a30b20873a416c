"""Every domain's queries failed at every point of every batch; the ones over sales rebuilt after every loss."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions

from jobs.houses.schema import AVERAGES, DOMAIN, HISTORY, SALES
from jobs.houses.stream import QueryName
from lakehouse.core import restart_policy, run_state
from lakehouse.errors import LakeError, RefusedError
from lakehouse.kafka import topics
from lakehouse.ops import rename_topic
from lakehouse.ops.rebuild import rebuild
from lakehouse.streaming import accepted_losses, checkpoints
from lakehouse.streaming.query import Query
from lakehouse.tables import table_io
from tests import suite
from tests.audit import crashes, oracle
from tests.audit.looks import averages, conservation, fail_at
from tests.e2e.running import wait_for
from tests.sites import Site

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800), pytest.mark.usefixtures("calm")]
BOTH = tuple(QueryName)


@pytest.mark.parametrize("sent", suite.names(), indirect=True)
def test_failed_at_every_point_of_every_batch(
    site: Site, run_queries: Callable[[list[Query], int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first batch and in one after it; `make audit` kills the process at each, in three batches."""
    left = fail_at(monkeypatch, crashes.every(site.suite, (0, 1)))
    run_queries(site.suite.queries(site.bootstrap_servers), crashes.IN_TWO)
    assert set(left.values()) == {0}, "a point was not met"
    assert oracle.check(site) == []


def test_a_query_that_fails_five_times_is_left_alone_and_the_other_runs_on(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 5)
    left = fail_at(monkeypatch, ["averages.before:1"], times=99)
    with pytest.raises(LakeError, match=r"houses\.averages stopped: .*failed at averages\.before:1.* 5 times in a row"):
        run()
    assert left == {"averages.before:1": 94}
    progress = {query: run_state.read_json(run_state.progress_file("houses", query)) for query in DOMAIN.queries}
    assert (progress["averages"]["state"], progress["averages"]["restarts"]) == ("failed", 4)
    assert "failed at averages.before:1" in progress["averages"]["error"]
    assert (progress["history"]["state"], progress["history"]["error"]) == ("finished", "")
    assert conservation(site) == []


@pytest.mark.parametrize("query", BOTH)
def test_a_lost_checkpoint_is_refused_and_rebuilt(
    site: Site, run: Callable[..., None], query: QueryName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last batch is torn, too: its first table was written, its second one not."""
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1)
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
    lengths = {row["window_end"] - row["window_start"] for row in table_io.read(AVERAGES).to_pylist()}
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
    (((_topic, partition), lost),) = accepted_losses.accepted("houses").items()
    assert (partition, [each.end for each in lost]) == (1, [end - 3])


def test_a_topic_made_again_is_refused_and_its_old_rows_are_kept_apart(
    spark: Any, site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(QueryName.history)
    old = table_io.read(HISTORY).num_rows
    client = topics.admin(site.bootstrap_servers)
    client.delete_topics([SALES.name])[SALES.name].result(30)
    wait_for(lambda: topics.state(site.bootstrap_servers, SALES.name) is None, 60, "the topic's end")
    topics.ensure(site.bootstrap_servers, DOMAIN.topics)
    site.send(300)  # more than there were: by its offsets alone nobody could tell
    with pytest.raises(RefusedError, match=r"deleted and made again.*rebuild houses\.history --accept-loss`"):
        run(QueryName.history)
    with pytest.raises(RefusedError, match="what was never read of it is gone"):
        rebuild("houses.history", False)

    def in_this_session(_script: str, *options: str) -> None:
        *paths, _, topic, _, name = options
        rename_topic.rename_topic(spark, [Path(path) for path in paths], topic, name)

    monkeypatch.setattr("lakehouse.ops.rebuild._run", in_this_session)
    rebuild("houses.history", True)
    run(QueryName.history)
    assert conservation(site) == []
    assert sum(name != SALES.name for name in table_io.read(HISTORY)["topic"].to_pylist()) == old


def test_partitions_added_to_the_topic_are_read_from_their_first_record(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    added = NewPartitions(SALES.name, 6)
    topics.admin(site.bootstrap_servers).create_partitions([added])[SALES.name].result(30)
    monkeypatch.setattr(site, "partitions", 6)
    site.send(60)
    run()
    assert {message.partition() for message in oracle.records(site)} == set(range(6))
    assert conservation(site) + averages(site) == []
