"""What is refused at the start of a query, over real tables and checkpoints as Spark writes them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contract.domain import QueryTables
from lakehouse.contract.topics import Topic
from lakehouse.errors import RefusedError
from lakehouse.kafka.topics import TopicState
from lakehouse.streaming import checkpoints, event_reading, sidecar, start_checks
from lakehouse.streaming.event_reading import READING
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.streaming.start_checks import Start
from lakehouse.tables import table_io
from lakehouse.tables.table_io import HISTORY_PROPERTIES, Table

pytestmark = pytest.mark.usefixtures("lake")
COORDINATES = {"topic": "STRING", "partition": "INT", "offset": "BIGINT"}
EVENTS = Table("line", "events", COORDINATES, ("topic", "partition", "offset"), "events", HISTORY_PROPERTIES)
BAD = Table("line", "bad", COORDINATES, ("topic", "partition", "offset"), "bad events", HISTORY_PROPERTIES)
TOPIC = Topic("line", 2, "events")
IDS = {"line": "id-1"}


def on_line(first: int, second: int) -> dict[tuple[str, int], int]:
    """Offsets of the two partitions of the topic."""
    return {("line", 0): first, ("line", 1): second}


THERE = TopicState(IDS, on_line(0, 0), on_line(50, 50))
RESTS_ON = {"window": "2 minutes"}


def start(**changed: Any) -> Start:
    new = Start(
        "line", "events", checkpoints.path("line", "events"), QueryTables((TOPIC,), (EVENTS, BAD)), RESTS_ON, THERE
    )
    return replace(new, **changed)


def write_batch(number: int, ends: dict[str, int], generation: str = "gen-1", committed: bool = True) -> None:
    """A batch as the stream leaves it: checkpoint files, and one row per new record in the table."""
    folder = checkpoints.path("line", "events")
    for part in ("offsets", "commits"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "metadata").write_text(json.dumps({"id": generation}))
    (folder / "offsets" / str(number)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{json.dumps({"line": ends})}')
    if committed:
        (folder / "commits" / str(number)).write_text("v1\n{}")
    values = [{"topic": "line", "partition": int(at), "offset": end - 1} for at, end in ends.items()]
    app_id = checkpoints.app_id(generation, "events")
    table_io.append(table_io.create(EVENTS), table_io.rows(EVENTS, values), app_id, number)


def test_a_lost_checkpoint_of_rows_that_only_postgresql_has_and_a_topic_made_again_are_refused() -> None:
    tables = QueryTables((TOPIC,), postgres_tables=(replace(EVENTS, name="units"),))
    first = start(query_tables=tables)
    start_checks.check(first)
    start_checks.check(first)  # the checkpoint is gone, the topic has all of its records
    again = replace(first, topics=replace(THERE, ids={"line": "id-2"}))
    refused(again, "the topic line was deleted and made again")


@pytest.fixture
def running() -> Path:
    """A query that has run for two batches."""
    start_checks.check(start())
    write_batch(0, {"0": 10, "1": 20})
    sidecar.write(checkpoints.path("line", "events"), Sidecar(RESTS_ON, IDS, "gen-1", on_line(0, 0)))
    write_batch(1, {"0": 30, "1": 40})
    return checkpoints.path("line", "events")


def refused(given: Start, *words: str) -> None:
    with pytest.raises(RefusedError) as error:
        start_checks.check(given)
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "`lake rebuild line.events" in message


def test_a_first_start_notes_where_it_begins_and_a_later_one_goes_on(running: Path) -> None:
    read = {"reading": READING, "former_until": on_line(30, 40)}  # an earlier version's: its sidecar had no reading
    assert start_checks.check(start()) == Sidecar(RESTS_ON, IDS, "gen-1", on_line(0, 0), **read)


def test_what_an_earlier_version_has_read_ends_where_this_one_started(running: Path) -> None:
    """A batch that was planned may have been written; what this version plans later is its own."""
    write_batch(2, {"0": 33, "1": 40}, committed=False)
    assert event_reading.former_until(running) == on_line(33, 40)
    start_checks.check(start())
    write_batch(3, {"0": 50, "1": 50})
    start_checks.check(start())
    assert event_reading.former_until(running) == on_line(33, 40)


def test_a_checkpoint_that_this_version_makes_has_read_nothing_otherwise() -> None:
    assert event_reading.former_until(checkpoints.path("line", "events")) == {}
    assert start_checks.check(start()).reading == READING
    write_batch(0, {"0": 50, "1": 50})
    assert event_reading.former_until(checkpoints.path("line", "events")) == on_line(0, 0)


def test_a_first_start_begins_where_the_topic_does() -> None:
    late = replace(THERE, starts=on_line(5, 7))
    assert start_checks.check(start(topics=late)).starts == on_line(5, 7)
    later = replace(THERE, starts=on_line(6, 7))  # and again, when nothing has been read yet
    assert start_checks.check(start(topics=later)).starts == on_line(6, 7)


def test_rows_that_never_were_on_a_topic_need_no_checkpoint() -> None:
    values = [{"topic": None, "partition": None, "offset": None}]
    table_io.append(table_io.create(EVENTS), table_io.rows(EVENTS, values), "load", 0)
    assert start_checks.check(start()).generation == ""


@pytest.mark.parametrize("with_sidecar", [True, False])
def test_a_lost_checkpoint_over_a_filled_table(running: Path, with_sidecar: bool) -> None:
    shutil.rmtree(running)
    if not with_sidecar:
        sidecar.file(running).unlink()
    refused(start(), f"checkpoint {running} is gone, but events still hold its rows")


def test_a_checkpoint_that_is_another_one(running: Path) -> None:
    (running / "metadata").write_text('{"id": "gen-2"}')
    refused(start(), "its generation is gen-2, not gen-1")
    sidecar.file(running).unlink()
    refused(start(), f"checkpoint {running} did not write the rows of events")


def test_a_checkpoint_older_than_the_tables(running: Path) -> None:
    for part in ("offsets", "commits"):
        (running / part / "1").unlink()
    refused(start(), "older than the tables", "batches up to 0", "hold batch 1")


def test_a_checkpoint_killed_before_its_first_batch_wrote_is_no_foreign_one(running: Path) -> None:
    shutil.rmtree(running)
    sidecar.write(running, Sidecar(RESTS_ON, IDS, starts=on_line(30, 40)))  # as a rebuild leaves it
    assert start_checks.check(start()).starts == on_line(30, 40)
    running.mkdir()
    (running / "metadata").write_text('{"id": "gen-2"}')
    assert start_checks.check(start()).starts == on_line(30, 40)


def test_old_state_under_a_new_plan(running: Path) -> None:
    refused(start(depends_on=RESTS_ON | {"window": "5 minutes"}), "window was '2 minutes' and is now '5 minutes'")


def topics(**ids: str) -> TopicState:
    """Topics that all have what was read."""
    places = {(name, partition): 0 for name in ids for partition in (0, 1)}
    return TopicState(ids, places, dict.fromkeys(places, 50))


def test_a_topic_added_or_removed(running: Path) -> None:
    added = start(topics=topics(line="id-1", other="id-3"))
    refused(added, "has read the topic line and would now read line and other", "Start it as before", "line.events`")
    refused(start(topics=topics(other="id-3")), "line and would now read other", "line.events --accept-loss`")


def test_a_query_of_two_topics_goes_on_and_is_bound_to_both(running: Path) -> None:
    sidecar.write(running, Sidecar(RESTS_ON, {"line": "id-1", "other": "id-3"}, "gen-1", on_line(0, 0)))
    both = topics(line="id-1", other="id-3")
    assert start_checks.check(start(topics=both)).topic_ids == both.ids
    refused(
        start(topics=topics(line="id-1", other="id-4")), "the topic other was deleted and made again", "id-3", "id-4"
    )


def test_partitions_of_the_same_number_are_not_taken_for_one_another(running: Path) -> None:
    """The other topic ends where the first one was not yet read, and begins behind where that one was read."""
    ids = {"line": "id-1", "other": "id-3"}
    began = {**on_line(0, 0), ("other", 0): 60, ("other", 1): 70}
    sidecar.write(running, Sidecar(RESTS_ON, ids, "gen-1", began))
    there = TopicState(
        ids,
        {**on_line(0, 0), ("other", 0): 60, ("other", 1): 70},
        {**on_line(50, 50), ("other", 0): 60, ("other", 1): 99},
    )
    assert start_checks.check(start(topics=there)).starts == began
    gone = replace(there, starts={**there.starts, ("other", 1): 75})
    refused(start(topics=gone), "other[1] 70 to 74 (5 records)", "--accept-loss`")
    short = replace(there, ends={**there.ends, ("other", 0): 55})
    refused(start(topics=short), "other[0] ends at 55 and was read up to 60")


def test_the_checkpoint_of_a_version_before_goes_on_and_knows_its_topic(running: Path) -> None:
    old = {"depends_on": {**RESTS_ON, "topic": "line", "topic id": "id-1"}, "generation": "gen-1"}
    old |= {"starts": {"0": 0, "1": 0}, "format": 1}
    sidecar.file(running).write_text(json.dumps(old))
    again = replace(THERE, ids={"line": "id-2"})
    refused(start(topics=again), "deleted and made again (its id was id-1 and is id-2)")
    read = {"reading": READING, "former_until": on_line(30, 40)}
    assert start_checks.check(start()) == Sidecar(RESTS_ON, IDS, "gen-1", on_line(0, 0), **read)


def test_another_state_store_than_the_one_that_keeps_the_state(running: Path) -> None:
    rocks = start(state_store="org.RocksDB")
    conf = json.dumps({checkpoints.STATE_STORE: "org.HDFSBacked", checkpoints.SHUFFLE_PARTITIONS: "3"})
    (running / "offsets/1").write_text(f'v1\n{{"batchWatermarkMs":0,"conf":{conf}}}\n{{"line":{{"0":30,"1":40}}}}')
    start_checks.check(rocks)  # a query without state
    (running / "state").mkdir()
    refused(rocks, "its state is kept by org.HDFSBacked", "providerClass is now org.RocksDB", "Start it as before")
    start_checks.check(start(state_store="org.HDFSBacked"))


def test_what_was_not_recorded_before_is_from_now_on(running: Path) -> None:
    more = start(depends_on=RESTS_ON | {"columns": "a:int"})
    start_checks.check(more)
    refused(start(depends_on=RESTS_ON | {"columns": "a:bigint"}), "columns was 'a:int'")


def test_a_topic_made_again(running: Path) -> None:
    again = start(topics=replace(THERE, ids={"line": "id-2"}))
    refused(again, "deleted and made again", "id-1", "id-2", "events --accept-loss`")


def test_records_that_retention_took_are_named(running: Path) -> None:
    start_checks.check(start(topics=replace(THERE, starts=on_line(30, 0))))
    refused(start(topics=replace(THERE, starts=on_line(33, 0))), "line[0] 30 to 32 (3 records)", "--accept-loss`")


def test_a_batch_that_was_planned_but_not_done_is_needed_again(running: Path) -> None:
    write_batch(2, {"0": 50, "1": 50}, committed=False)
    refused(start(topics=replace(THERE, starts=on_line(40, 0))), "line[0] 30 to 39 (10 records)")


def test_a_broker_with_fewer_records(running: Path) -> None:
    refused(start(topics=replace(THERE, ends=on_line(29, 50))), "fewer records", "line[0] ends at 29", "up to 30")
    refused(
        start(topics=replace(THERE, starts={("line", 0): 0}, ends={("line", 0): 50})),
        "line[1] ends at 0 and was read up to 40",
    )


@pytest.mark.parametrize("content", [b"", b'{"commitInfo":{}}\n{"add":{"pa'])
def test_a_damaged_commit_file_is_named(running: Path, content: bytes) -> None:
    newest = max((EVENTS.path / "_delta_log").glob("*.json"))
    newest.write_bytes(content)
    refused(start(), "the table events is damaged", str(newest))


def test_a_missing_commit_file_is_named(running: Path) -> None:
    middle = sorted((EVENTS.path / "_delta_log").glob("*.json"))[1]
    middle.unlink()
    refused(start(), f"{middle} is missing")


def test_a_damaged_checkpoint_file_is_named(running: Path) -> None:
    (running / "offsets/1").write_text("")
    refused(start(), f"{running}/offsets/1 is cut off")


def test_a_contract_may_get_columns_and_nothing_else(running: Path) -> None:
    tables = QueryTables(TOPIC, (replace(EVENTS, columns={**COORDINATES, "note": "STRING"}), BAD))
    start_checks.check(start(query_tables=tables))
    retyped = QueryTables(TOPIC, (replace(EVENTS, columns={**COORDINATES, "offset": "INT"}), BAD))
    with pytest.raises(RefusedError, match=r"line\.events may only get new columns; it says that offset is INT"):
        start_checks.check(start(query_tables=retyped))
