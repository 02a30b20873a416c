"""Where a query of records goes on after a rebuild, and what it notes as lost."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakehouse.audit import results
from lakehouse.audit.results import AuditedRange, AuditResult, PartitionResult
from lakehouse.contract.domain import QueryTables
from lakehouse.contract.runs import Job
from lakehouse.contract.standard_tables import batch_table
from lakehouse.core.locks import exclusive
from lakehouse.errors import RefusedError, UsageError
from lakehouse.kafka.offset_ranges import OffsetRanges
from lakehouse.kafka.topics import TopicState
from lakehouse.ops import rebuild
from lakehouse.streaming import accepted_losses, checkpoints, event_reading, sidecar
from lakehouse.streaming.event_reading import READING
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import commit_files, table_io
from tests.lakehouse.ops.rebuild.line import LINE, RUNS, VIEW, begun, hold
from tests.lakehouse.streaming.test_start_checks import BAD, EVENTS, IDS, TOPIC, on_line

pytestmark = pytest.mark.usefixtures("lake")


def test_it_goes_on_behind_what_both_tables_hold() -> None:
    hold(EVENTS, p0=[0, 1, 3], p1=[0])
    hold(BAD, p0=[2], p1=[1])
    rebuild.rebuild("line.events", False)
    assert (begun().starts, begun().stored_until, begun().generation) == (on_line(4, 2), {}, "")


def test_a_batch_torn_between_its_two_tables_is_read_again_from_its_first_gap() -> None:
    hold(EVENTS, p0=[0, 1, 2, 5, 6], p1=[0])  # the dead letters 3 and 4 were not written
    rebuild.rebuild("line.events", False)
    assert (begun().starts, begun().stored_until) == (on_line(3, 1), {("line", 0): 7})


def test_an_empty_lake_begins_at_the_first_record(broker: dict[str, TopicState]) -> None:
    broker["line"] = TopicState(IDS, on_line(5, 0), on_line(9, 9))
    rebuild.rebuild("line.events", False)
    assert begun().starts == on_line(5, 0)


def test_lost_records_are_refused_then_noted_once(broker: dict[str, TopicState]) -> None:
    hold(EVENTS, p0=[0, 1, 4], p1=[0])
    broker["line"] = TopicState(IDS, on_line(8, 0), on_line(9, 9))
    with pytest.raises(RefusedError, match=r"line\[0\] 2 to 3 .*line\[0\] 5 to 7 .*--accept-loss"):
        rebuild.rebuild("line.events", False)
    assert sidecar.read(checkpoints.path("line", "events")) is None
    for _ in range(2):
        rebuild.rebuild("line.events", True)
        assert accepted_losses.accepted("line") == {("line", 0): OffsetRanges([(2, 4), (5, 8)])}
    rebuild.rebuild("line.events", False)
    assert begun().starts == on_line(8, 1)


@pytest.mark.parametrize(("reading", "until"), [(1, (4, 3)), (READING, (2, 1))])
def test_what_an_earlier_version_has_read_stays_known(
    broker: dict[str, TopicState], reading: int, until: tuple[int, int]
) -> None:
    """All that is stored, where this version has not started yet; else what was noted at its start."""
    hold(EVENTS, p0=[0, 1, 2, 3], p1=[0, 1, 2])
    checkpoint = checkpoints.path("line", "events")
    noted = {"reading": reading, "former_until": on_line(2, 1) if reading == READING else {}}
    sidecar.write(checkpoint, Sidecar({}, IDS, "gen-1", on_line(0, 0), **noted))
    rebuild.rebuild("line.events", False)
    assert event_reading.former_until(checkpoint) == on_line(*until)


def test_a_gap_that_retention_has_half_taken_is_read_from_what_is_left(broker: dict[str, TopicState]) -> None:
    hold(EVENTS, p0=[0, 1, 6])
    broker["line"] = TopicState(IDS, on_line(4, 0), on_line(9, 9))
    rebuild.rebuild("line.events", True)
    assert accepted_losses.accepted("line") == {("line", 0): OffsetRanges.of(2, 4)}
    assert (begun().starts, begun().stored_until) == (on_line(4, 0), {("line", 0): 7})


def test_the_rows_of_a_topic_made_again_are_not_taken_for_its_own(
    broker: dict[str, TopicState], ran: list[tuple[str, ...]]
) -> None:
    hold(EVENTS, p0=[0, 1])
    known = Sidecar({}, {"line": "id-0"}, "gen-1", on_line(0, 0))
    sidecar.write(checkpoints.path("line", "events"), known)
    with pytest.raises(RefusedError, match=r"made again.*--accept-loss"):
        rebuild.rebuild("line.events", False)
    rebuild.rebuild("line.events", True)
    ((script, path, *_, name),) = ran
    assert (script, path, name[:10]) == ("lakehouse/ops/rename_topic.py", str(EVENTS.path), "line@id-0-")
    assert (begun().starts, begun().topic_ids) == (on_line(0, 0), IDS)
    (noted,) = table_io.read(accepted_losses.lost_ranges("line")).to_pylist()
    assert (noted["topic"], noted["start_offset"], noted["end_offset"]) == (name, 2, None)
    assert accepted_losses.accepted("line") == {}


def test_offsets_at_which_an_audit_found_no_record_are_not_lost(broker: dict[str, TopicState]) -> None:
    hold(EVENTS, p0=[0, 1, 3], p1=[0])  # offset 2 has the marker of a transaction
    markers = PartitionResult(0, covered=[AuditedRange(0, 4, gaps=[[2, 3]])], topic="line")
    result = AuditResult("line", "then", True, 1.0, partitions=[markers], topic_ids=IDS)
    broker["line"] = TopicState(IDS, on_line(4, 0), on_line(9, 9))
    with pytest.raises(RefusedError, match=r"line\[0\] 2 to 2"):
        rebuild.rebuild("line.events", False)
    results.store("line", datetime.now(UTC), replace(result, topic_ids={"line": "id-0"}))
    with pytest.raises(RefusedError, match=r"line\[0\] 2 to 2"):
        rebuild.rebuild("line.events", False)
    results.store("line", datetime.now(UTC), result)
    rebuild.rebuild("line.events", False)
    assert (begun().starts, begun().stored_until) == (on_line(4, 1), {})


def test_what_was_lost_of_a_topic_is_not_lost_of_the_one_made_again(
    broker: dict[str, TopicState], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_run", lambda *command: table_io.create(EVENTS).delete())
    hold(EVENTS, p0=[0, 1])
    broker["line"] = TopicState(IDS, on_line(3, 0), on_line(9, 9))
    rebuild.rebuild("line.events", True)
    assert accepted_losses.accepted("line") == {("line", 0): OffsetRanges.of(2, 3)}
    broker["line"] = TopicState({"line": "id-2"}, on_line(0, 0), on_line(9, 9))
    rebuild.rebuild("line.events", True)
    ((name, partition),) = accepted_losses.accepted("line")
    assert (name[:10], partition) == ("line@id-1-", 0)


def test_rows_that_only_postgresql_has_are_not_lost_unasked(
    broker: dict[str, TopicState], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = {"units": QueryTables((TOPIC,), postgres_tables=(VIEW,))}
    runs = (replace(RUNS[0], queries=("units",)),)
    monkeypatch.setattr(rebuild, "load", lambda name: replace(LINE, query_tables=stores, processes=runs))
    checkpoint = checkpoints.path("line", "units")
    sidecar.write(checkpoint, Sidecar({}, {"line": "id-0"}, "gen-1", on_line(0, 0)))
    with pytest.raises(RefusedError, match=r"every record that view was made of.*line\.units --accept-loss"):
        rebuild.rebuild("line.units", False)
    assert sidecar.read(checkpoint)
    rebuild.rebuild("line.units", True)
    assert sidecar.read(checkpoint) is None


def test_a_topic_that_has_lost_its_newest_records_is_another_one(broker: dict[str, TopicState]) -> None:
    hold(EVENTS, p0=[0, 1])
    broker["line"] = TopicState(IDS, on_line(0, 0), on_line(1, 9))
    with pytest.raises(RefusedError, match="lost its newest records"):
        rebuild.rebuild("line.events", False)


@pytest.mark.parametrize("content", [b"", b'{"add":{"path":"x'])
def test_rows_of_a_damaged_commit_are_read_again(content: bytes) -> None:
    for offset in range(4):
        hold(EVENTS, p0=[offset])
    hold(BAD, p1=[0])
    broken = sorted((EVENTS.path / "_delta_log").glob("*.json"))[2]  # offset 1
    broken.write_bytes(content)
    done = rebuild.rebuild("line.events", False)
    assert any(f"{broken}.damaged" in line for line in done)
    assert commit_files.find_damage(EVENTS.path) == ""
    assert sorted(table_io.read(EVENTS, ["offset"])["offset"].to_pylist()) == [0, 2, 3]
    assert (begun().starts, begun().stored_until) == (on_line(1, 1), {("line", 0): 4})


def test_it_is_refused_while_the_query_runs(lake: Path) -> None:
    lock = checkpoints.path("line", "events").with_suffix(".lock")
    with exclusive(lock, "Query line.events"), pytest.raises(RefusedError, match=r"line\.events is already running"):
        rebuild.rebuild("line.events", False)


def test_an_unknown_query_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"line\.evnts.*line\.events, line\.units"):
        rebuild.rebuild("line.evnts", False)


@pytest.mark.parametrize("what", ["lost", "cut off", "empty"])
def test_the_rows_of_a_data_file_that_cannot_be_read_are_read_again(what: str) -> None:
    for offset in range(4):
        hold(EVENTS, p0=[offset])
    file = next(
        EVENTS.path / action["path"]
        for action in pa.table(DeltaTable(EVENTS.path).get_add_actions(flatten=True)).to_pylist()
        if action["min.offset"] == 2
    )
    if what == "lost":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 40 if what == "cut off" else 0])
    done = rebuild.rebuild("line.events", False)
    assert (begun().starts["line", 0], begun().stored_until["line", 0]) == (2, 4)
    assert done[0].startswith(f"Removed from events: {file.name}. Its rows are read from the topic again; version 4")
    assert file.with_name(f"{file.name}.damaged").exists() is (what != "lost")
    assert sorted(table_io.read(EVENTS)["offset"].to_pylist()) == [0, 1, 3]


def test_rows_that_were_never_on_the_topic_are_counted_when_their_file_is_lost() -> None:
    delta = table_io.create(EVENTS)
    table_io.append(delta, table_io.rows(EVENTS, [{"topic": None}] * 3), "initial", 0)
    next(EVENTS.path.glob("*.parquet")).unlink()
    assert "3 of its rows were never on a topic" in rebuild.rebuild("line.events", False)[1]


AGAIN = Job("again.py", "--all")
VIEW_BATCH = batch_table("line", "view_batch", {"units": "BIGINT"}, VIEW.keys, "units, recomputed")
