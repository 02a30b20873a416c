"""A table under a key that is upserted and deleted from, against a plain dictionary."""

import uuid
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contract import arrow_types, standard_tables
from lakehouse.core import kill_points
from lakehouse.sinks.keyed_table import DELETED, KeyedTable
from lakehouse.streaming.batch import Batch
from lakehouse.tables import table_io

COLUMNS = {
    "shop": "STRING",
    "item": "INT",
    "stock": "BIGINT",
    "lines": "ARRAY<STRUCT<sku: STRING>>",
    "offset": "BIGINT",
}
STOCK = standard_tables.speed_table("retail", "stock", COLUMNS, ("shop", "item"), "stock by shop and item", ())
LOG = standard_tables.batch_log("retail", "stock")
Change = tuple[str, int, int, int, bool]  # shop, item, stock, offset, is_deleted
pytestmark = pytest.mark.usefixtures("lake")


class Frame:
    """Changes as a batch hands them over."""

    def __init__(self, *changes: Change) -> None:
        names = ("shop", "item", "stock", "offset", DELETED)
        self._rows = [
            {**dict(zip(names, change, strict=True)), "lines": [{"sku": str(change[2])}]} for change in changes
        ]

    def toArrow(self) -> pa.Table:
        return pa.Table.from_pylist(self._rows, arrow_types.arrow_schema({**COLUMNS, DELETED: "BOOLEAN"}))


def batch(number: int, generation: str = "gen") -> Batch:
    return Batch(generation, number, {("t", 0): number}, {("t", 0): number + 1}, None, "stock")


def write(*changes: Change, number: int, sink: KeyedTable | None = None) -> None:
    sink = sink or KeyedTable(STOCK, LOG, ["offset"])
    sink.write(Frame(*changes), batch(number))  # type: ignore[arg-type]


class Elsewhere:
    """Another place for the rows: which items were sent, and whether deleted."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bool]] = []

    def send(self, rows: Any, _batch: Batch) -> Any:
        return lambda: self.sent.extend((row["item"], row[DELETED]) for row in rows)


def content(table: Any = STOCK) -> dict[tuple[str, int], int]:
    return {(row["shop"], row["item"]): row["stock"] for row in table_io.read(table).to_pylist()}


def test_a_deleted_row_is_removed_under_its_key_and_the_rest_stays() -> None:
    write(("a", 1, 5, 0, False), ("a", 2, 7, 1, False), ("b", 1, 9, 2, False), number=0)
    write(("a", 1, 0, 3, True), ("c", 1, 0, 4, True), number=1)
    assert content() == {("a", 2): 7, ("b", 1): 9}
    row = next(row for row in table_io.read(STOCK).to_pylist() if row["shop"] == "b")
    assert (row["lines"], row["generation"], row["batch_id"]) == ([{"sku": "9"}], "gen", 0)


def test_of_two_changes_in_a_batch_the_later_wins_wherever_it_stands() -> None:
    write(("a", 1, 5, 8, False), ("a", 1, 0, 3, True), ("a", 2, 0, 9, True), ("a", 2, 4, 1, False), number=0)
    assert content() == {("a", 1): 5}


def test_an_older_change_in_a_later_batch_changes_nothing() -> None:
    write(("a", 1, 5, 8, False), ("a", 2, 6, 8, False), number=0)
    write(("a", 1, 1, 7, False), ("a", 2, 0, 7, True), number=1)
    assert content() == {("a", 1): 5, ("a", 2): 6}


def test_the_order_may_have_several_columns() -> None:
    table = replace(STOCK, name=f"stock_{uuid.uuid4().hex}")
    sink = KeyedTable(table, LOG, ["stock", "offset"])
    sink.write(Frame(("a", 1, 5, 1, False), ("a", 1, 5, 2, False), ("b", 1, 5, 2, False)), batch(0))  # type: ignore[arg-type]
    assert table_io.read(table, ["offset"])["offset"].to_pylist() == [2, 2]
    sink.write(Frame(("a", 1, 5, 1, True), ("b", 1, 6, 0, True)), batch(1))  # type: ignore[arg-type]
    assert content(table) == {("a", 1): 5}


def test_changed_rows_go_elsewhere_with_their_deletion() -> None:
    elsewhere = Elsewhere()
    write(("a", 1, 5, 0, False), ("a", 2, 0, 1, True), number=0, sink=KeyedTable(STOCK, LOG, ["offset"], [elsewhere]))
    assert sorted(elsewhere.sent) == [(1, False), (2, True)]


def test_a_change_that_is_too_late_for_the_table_goes_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Elsewhere()
    sink = KeyedTable(STOCK, LOG, ["offset"], [elsewhere])
    write(("a", 1, 5, 8, False), ("a", 2, 6, 8, False), ("b", 2, 6, 8, False), number=0, sink=sink)
    elsewhere.sent.clear()
    late = [("a", 1, 1, 7, False), ("a", 2, 0, 7, True), ("b", 1, 1, 1, False), ("b", 2, 0, 9, True)]
    for _ in range(2):  # the batch that comes again sends the same
        write(*late, number=1, sink=sink)
        assert sorted(elsewhere.sent) == [(1, False), (2, True)]
        elsewhere.sent.clear()


keys = st.tuples(st.sampled_from("ab"), st.integers(1, 2))
changes = st.tuples(keys, st.integers(0, 99), st.booleans())
deaths = st.lists(st.sampled_from(["stock.upserted", "stock.logged"]), max_size=2)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(st.tuples(st.lists(changes, max_size=6), deaths), min_size=1, max_size=4))
def test_killed_anywhere_and_run_again_it_is_a_plain_dictionary(sent: list[Any]) -> None:
    table = replace(STOCK, name=f"stock_{uuid.uuid4().hex}")
    log = replace(LOG, name=f"log_{uuid.uuid4().hex}")
    right: dict[tuple[str, int], int] = {}
    offset = 0
    for number, (of_batch, dying) in enumerate(sent):
        rows: list[Change] = []
        for (shop, item), stock, deleted in of_batch:
            rows.append((shop, item, stock, offset := offset + 1, deleted))
            right.pop((shop, item), None)
            right |= {} if deleted else {(shop, item): stock}
        for point in [*dying, ""]:
            _write_until(point, KeyedTable(table, log, ["offset"]), Frame(*rows), number)
            if point:
                continue
            assert content(table) == right
    assert table_io.read(log).num_rows == len(sent)


def _write_until(point: str, sink: KeyedTable, frame: Frame, number: int) -> None:
    def die(name: str, _batch: int) -> None:
        if name == point:
            raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kill_points, "point", die)
        try:
            sink.write(frame, batch(number))  # type: ignore[arg-type]
        except InterruptedError:
            assert point
