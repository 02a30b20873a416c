"""A keyed table in PostgreSQL, against the same changes in Delta."""

import random
import uuid
from dataclasses import replace
from typing import Any

import pytest

from lakehouse.core import kill_points
from lakehouse.errors import RefusedError
from lakehouse.sinks import postgres
from lakehouse.sinks.keyed_table import KeyedTable
from lakehouse.sinks.postgres_table import PostgresTable
from lakehouse.tables import table_io
from tests.lakehouse.sinks.test_keyed_table import LOG, STOCK, Change, Elsewhere, Frame, batch

pytestmark = pytest.mark.usefixtures("postgres_lake")


@pytest.fixture
def stock() -> Any:
    """The table in a schema of its own."""
    return replace(STOCK, domain=f"retail_{uuid.uuid4().hex[:8]}")


def write(stock: Any, number: int, *changes: Change, sink: PostgresTable | None = None) -> None:
    sink = sink or PostgresTable(stock, ["offset"], {"stock": "pieces left"})
    sink.write(Frame(*changes), batch(number))  # type: ignore[arg-type]


def content(rows: Any) -> list[Any]:
    return sorted(
        (row["shop"], row["item"], row["stock"], row["lines"], row["offset"], row["batch_id"]) for row in rows
    )


def test_it_is_the_same_table_as_in_delta_whatever_comes_twice(stock: Any) -> None:
    dice = random.Random(7)
    delta, sink = KeyedTable(STOCK, LOG, ["offset"]), PostgresTable(stock, ["offset"], {})
    for number in range(12):
        offsets = dice.sample(range(number * 3, number * 3 + 12), 6)  # some are older than what the table has
        changes = [(dice.choice("ab"), dice.randint(1, 2), offset, offset, dice.random() < 0.4) for offset in offsets]
        for _ in range(2):
            delta.write(Frame(*changes), batch(number))  # type: ignore[arg-type]
            write(stock, number, *changes, sink=sink)
        assert content(postgres.read_rows(stock)) == content(table_io.read(STOCK).to_pylist())


def test_a_batch_that_died_after_its_commit_is_not_written_again(stock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_point: str, _batch: int) -> None:
        raise InterruptedError

    with monkeypatch.context() as dying:
        dying.setattr(kill_points, "point", die)
        with pytest.raises(InterruptedError):
            write(stock, 0, ("a", 1, 5, 1, False))
    before = postgres.read_rows(stock)
    write(stock, 0, ("a", 1, 5, 1, False))
    assert postgres.read_rows(stock) == before  # updated_at, too


def test_a_change_that_is_too_late_for_the_table_goes_nowhere_else(stock: Any) -> None:
    elsewhere = Elsewhere()
    sink = PostgresTable(stock, ["offset"], {}, [elsewhere])
    write(stock, 0, ("a", 1, 5, 8, False), ("a", 2, 6, 8, False), ("b", 2, 6, 8, False), sink=sink)
    assert len(elsewhere.sent) == 3
    elsewhere.sent.clear()
    late = [("a", 1, 1, 7, False), ("a", 2, 0, 7, True), ("b", 1, 1, 1, False), ("b", 2, 0, 9, True)]
    for _ in range(2):  # the batch that comes again sends the same
        write(stock, 1, *late, sink=sink)
        assert sorted(elsewhere.sent) == [(1, False), (2, True)]
        elsewhere.sent.clear()


@pytest.mark.parametrize(("first_offset", "left"), [(0, [2]), (40, [1, 2])])
def test_a_rebuild_deletes_old_rows_where_the_topic_has_all_records(
    stock: Any, first_offset: int, left: list[int]
) -> None:
    write(stock, 0, ("a", 1, 5, 1, False))
    new = replace(batch(0, "next"), starts={("t", 0): first_offset, ("t", 1): 0}, ends={("t", 0): 50, ("t", 1): 0})
    sink = PostgresTable(stock, ["offset"], {})
    for _ in range(2):
        sink.write(Frame(("a", 2, 7, 41, False)), new)  # type: ignore[arg-type]
        assert sorted(row["item"] for row in postgres.read_rows(stock)) == left
    sink.write(Frame(("a", 3, 7, 51, False)), replace(new, batch_id=1))  # type: ignore[arg-type]
    assert sorted(row["item"] for row in postgres.read_rows(stock)) == [*left, 3]


def test_a_database_that_lacks_batches_is_refused(stock: Any) -> None:
    write(stock, 0, ("a", 1, 5, 1, False))
    with pytest.raises(RefusedError, match="up to 0, not up to 1"):
        write(stock, 2, ("a", 1, 5, 1, False))
