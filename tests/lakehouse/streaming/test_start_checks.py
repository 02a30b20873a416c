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
from lakehouse.streaming import checkpoints, sidecar, start_checks
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.streaming.start_checks import Start
from lakehouse.tables import table_io
from lakehouse.tables.table_io import HISTORY_PROPERTIES, Table

pytestmark = pytest.mark.usefixtures("lake")
COORDINATES = {"topic": "STRING", "partition": "INT", "offset": "BIGINT"}
EVENTS = Table("line", "events", COORDINATES, ("topic", "partition", "offset"), "events", HISTORY_PROPERTIES)
BAD = Table("line", "bad", COORDINATES, ("topic", "partition", "offset"), "bad events", HISTORY_PROPERTIES)
TOPIC = Topic("line", 2, "events")
THERE = TopicState("line", "id-1", {0: 0, 1: 0}, {0: 50, 1: 50})
RESTS_ON = {"window": "2 minutes", "topic": "line", "topic id": "id-1"}


def start(**changed: Any) -> Start:
    new = Start(
        "line", "events", checkpoints.path("line", "events"), QueryTables(TOPIC, (EVENTS, BAD)), RESTS_ON, THERE
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


@pytest.fixture
def running() -> Path:
    """A query that has run for two batches."""
    start_checks.check(start())
    write_batch(0, {"0": 10, "1": 20})
    sidecar.write(checkpoints.path("line", "events"), Sidecar(RESTS_ON, "gen-1", {0: 0, 1: 0}))
    write_batch(1, {"0": 30, "1": 40})
    return checkpoints.path("line", "events")


def refused(given: Start, *words: str) -> None:
    with pytest.raises(RefusedError) as error:
        start_checks.check(given)
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "`lake rebuild line.events" in message


def test_a_first_start_notes_where_it_begins_and_a_later_one_goes_on(running: Path) -> None:
    assert start_checks.check(start()) == Sidecar(RESTS_ON, "gen-1", {0: 0, 1: 0})


def test_a_first_start_begins_where_the_topic_does() -> None:
    late = replace(THERE, starts={0: 5, 1: 7})
    assert start_checks.check(start(topic=late)).starts == {0: 5, 1: 7}
    later = replace(THERE, starts={0: 6, 1: 7})  # and again, when nothing has been read yet
    assert start_checks.check(start(topic=later)).starts == {0: 6, 1: 7}


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
    sidecar.write(running, Sidecar(RESTS_ON, starts={0: 30, 1: 40}))  # as a rebuild leaves it
    assert start_checks.check(start()).starts == {0: 30, 1: 40}
    running.mkdir()
    (running / "metadata").write_text('{"id": "gen-2"}')
    assert start_checks.check(start()).starts == {0: 30, 1: 40}


@pytest.mark.parametrize(("name", "value"), [("window", "5 minutes"), ("topic", "other")])
def test_old_state_under_a_new_plan(running: Path, name: str, value: str) -> None:
    refused(start(depends_on=RESTS_ON | {name: value}), f"{name} was {RESTS_ON[name]!r} and is now {value!r}")


def test_what_was_not_recorded_before_is_from_now_on(running: Path) -> None:
    more = start(depends_on=RESTS_ON | {"columns": "a:int"})
    start_checks.check(more)
    refused(start(depends_on=RESTS_ON | {"columns": "a:bigint"}), "columns was 'a:int'")


def test_a_topic_made_again(running: Path) -> None:
    again = start(depends_on=RESTS_ON | {"topic id": "id-2"}, topic=replace(THERE, topic_id="id-2"))
    refused(again, "deleted and made again", "id-1", "id-2", "events --accept-loss`")


def test_records_that_retention_took_are_named(running: Path) -> None:
    start_checks.check(start(topic=replace(THERE, starts={0: 30, 1: 0})))
    refused(start(topic=replace(THERE, starts={0: 33, 1: 0})), "line[0] 30 to 32 (3 records)", "--accept-loss`")


def test_a_batch_that_was_planned_but_not_done_is_needed_again(running: Path) -> None:
    write_batch(2, {"0": 50, "1": 50}, committed=False)
    refused(start(topic=replace(THERE, starts={0: 40, 1: 0})), "line[0] 30 to 39 (10 records)")


def test_a_broker_with_fewer_records(running: Path) -> None:
    refused(start(topic=replace(THERE, ends={0: 29, 1: 50})), "fewer records", "line[0] ends at 29", "up to 30")
    refused(start(topic=replace(THERE, starts={0: 0}, ends={0: 50})), "line[1] ends at 0 and was read up to 40")


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
    start_checks.check(start(stores=tables))
    retyped = QueryTables(TOPIC, (replace(EVENTS, columns={**COORDINATES, "offset": "INT"}), BAD))
    with pytest.raises(RefusedError, match=r"line\.events may only get new columns; it says that offset is INT"):
        start_checks.check(start(stores=retyped))
