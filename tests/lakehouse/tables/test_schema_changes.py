"""A changed contract: new columns are added at the writer's start, older rows have nulls; the rest is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from lakehouse.audit.pinned import TableVersion
from lakehouse.contract import standard_tables
from lakehouse.contract.tables import HISTORY_PROPERTIES, Table
from lakehouse.errors import RefusedError
from lakehouse.tables import loads, schema_changes, table_io
from lakehouse.tables.reader import TableReader

COLUMNS = {"player": "STRING", "points": "BIGINT"}
OLD = Table("games", "scores", COLUMNS, ("player",), "points by player", HISTORY_PROPERTIES)
# In the middle, as a domain's column stands before the coordinates.
NEW = replace(
    OLD, columns={"player": "STRING", "team": "STRING", "prizes": "ARRAY<STRUCT<name: STRING>>", "points": "BIGINT"}
)
ANN = {"player": "ann", "points": 1}
BOB = {"player": "bob", "team": "red", "prizes": [{"name": "cup"}], "points": 2}
NULLS = {"team": None, "prizes": None}
pytestmark = pytest.mark.usefixtures("lake")


def old_table() -> None:
    table_io.append(table_io.create(OLD), table_io.rows(OLD, [ANN]), "app", 0)


def by_player(rows: Any) -> list[dict[str, Any]]:
    return sorted(rows.to_pylist(), key=lambda row: row["player"])


def test_a_start_adds_new_columns_in_one_commit_and_older_rows_have_nulls() -> None:
    old_table()
    delta = table_io.create(NEW)
    assert delta.version() == 2
    assert table_io.create(NEW).version() == 2  # a second start changes nothing
    table_io.append(delta, table_io.rows(NEW, [BOB]), "app", 1)
    assert by_player(table_io.read(NEW)) == [{**ANN, **NULLS}, BOB]
    assert table_io.read(NEW).column_names == list(NEW.columns)


def test_an_upsert_fills_the_new_column_of_an_older_row() -> None:
    old_table()
    ann = {**ANN, "team": "blue", "prizes": []}
    table_io.upsert(table_io.create(NEW), table_io.rows(NEW, [ann, BOB]), NEW.keys, "app", 1)
    assert by_player(table_io.read(NEW)) == [ann, BOB]


@pytest.mark.parametrize(
    "load",
    [
        loads.recent("team", timedelta(hours=1)),
        loads.matching(pc.field("team").is_null(), 5),
        loads.found_once(pc.field("team").is_null(), 5),
    ],
)
def test_a_reader_that_is_ahead_of_the_writer_sees_nulls(load: loads.Loader) -> None:
    old_table()
    reading = TableReader(NEW, load).read()
    assert (reading.state, reading.error) == ("ready", "")
    assert reading.frame.to_dict("records") == [{**ANN, **NULLS}]
    assert DeltaTable(OLD.path).version() == 1  # reading changes nothing


def test_a_table_without_its_key_is_another_table() -> None:
    old_table()
    fix = "Another version of the code wrote it: run that version, or give the table this version's columns."
    table = replace(NEW, columns={**NEW.columns, "game": "INT"}, keys=("player", "game"))
    assert TableReader(table, loads.matching(pc.scalar(True), 5)).read().error.endswith(f"it has no column game. {fix}")


def test_plain_reads_and_the_audit_are_ahead_of_the_writer_too() -> None:
    old_table()
    assert by_player(table_io.read(NEW)) == [{**ANN, **NULLS}]
    assert table_io.read(NEW, ["team"], [("points", "=", 1)]).to_pylist() == [{"team": None}]
    assert by_player(TableVersion(NEW).read(list(NEW.columns), pc.field("team").is_null())) == [{**ANN, **NULLS}]


KEYED = "The contract of table games.scores may only get new columns; it gives it the key points, the table was written"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"columns": {"player": "STRING", "score": "BIGINT"}},
            "it has no column points, which the table has. Declare it again",
        ),
        (
            {"columns": {**COLUMNS, "points": "DOUBLE"}},
            "it says that points is DOUBLE, in the table it is BIGINT. Declare the old type",
        ),
        ({"keys": ("points",)}, KEYED),
        ({"partition_by": ("player",)}, ""),
    ],
)
def test_any_other_change_is_refused_and_the_table_stays(change: dict[str, Any], sentence: str) -> None:
    old_table()
    changed = replace(OLD, **change)
    if not sentence:  # partitions came later than tables
        table_io.create(changed)
        return
    with pytest.raises(RefusedError) as refused:
        table_io.create(changed)
    assert sentence in str(refused.value)
    assert str(refused.value).endswith("or write to a new table of another name.")
    assert table_io.read(OLD).to_pylist() == [ANN]
    assert DeltaTable(OLD.path).version() == 1


def test_other_partitions_are_refused() -> None:
    table_io.create(replace(OLD, partition_by=("player",)))
    with pytest.raises(RefusedError, match="partitions it by points, the table is partitioned by player"):
        table_io.create(replace(OLD, partition_by=("points",)))
    with pytest.raises(RefusedError, match="partitions it by nothing"):
        table_io.create(OLD)


def test_a_nested_type_that_gets_a_field_is_another_type() -> None:
    table_io.create(NEW)
    more = replace(NEW, columns={**NEW.columns, "prizes": "ARRAY<STRUCT<name: STRING, year: INT>>"})
    with pytest.raises(
        RefusedError, match=r"it says that prizes is .*year.*, in the table it is ARRAY<STRUCT<`name`: STRING>>"
    ):
        table_io.create(more)


def test_a_table_of_an_earlier_version_gets_its_key_at_the_next_start() -> None:
    DeltaTable.create(OLD.path, OLD.arrow_schema, configuration=dict(OLD.properties))
    assert table_io.create(OLD).version() == 1
    assert table_io.create(OLD).version() == 1
    with pytest.raises(RefusedError, match="it gives it the key points, the table was written under player"):
        table_io.create(replace(OLD, keys=("points",)))
    assert table_io.create(NEW).version() == 2


def test_files_written_after_a_new_column_have_the_statistics_that_the_contract_names() -> None:
    old = standard_tables.history("games", {"id": "STRING", "text": "STRING"}, ["id"], "events")
    new = standard_tables.history(
        "games", {"id": "STRING", "text": "STRING", "team": "STRING"}, ["id", "team"], "events"
    )
    row = dict.fromkeys(new.columns) | {"id": "a", "team": "red", "offset": 1}
    table_io.append(table_io.create(old), table_io.rows(old, [{**row, "id": "b"}]), "app", 0)
    table_io.append(table_io.create(new), table_io.rows(new, [row]), "app", 1)
    files = DeltaTable(new.path).get_add_actions(flatten=True)
    teams = dict(zip(files["min.id"].to_pylist(), files["min.team"].to_pylist(), strict=True))
    assert teams == {"b": None, "a": "red"}
    assert "min.text" not in files.schema.names


@pytest.mark.parametrize("before", [old_table, lambda: None])
def test_processes_that_start_at_once_add_a_column_once(before: Any) -> None:
    before()
    barrier = threading.Barrier(8)

    def start(_: int) -> int:
        barrier.wait()
        return table_io.create(NEW).version()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(8)))
    delta = DeltaTable(NEW.path)
    assert not schema_changes.missing_columns(NEW, delta)
    assert delta.version() == (2 if before is old_table else 0)
