"""Tables in PostgreSQL under a changed contract: new columns are added, any other change is refused."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from lakehouse.contract.tables import Table
from lakehouse.errors import RefusedError
from lakehouse.sinks import postgres, postgres_schema

COLUMNS = {"player": "STRING", "points": "BIGINT", "prize": "DECIMAL(6,2)"}


@pytest.fixture
def old(postgres_lake: str) -> Table:
    """A table with one row, in a schema of its own."""
    table = Table(f"games_{uuid.uuid4().hex[:8]}", "scores", COLUMNS, ("player",), "points by player", {})
    postgres_schema.create(table.domain, (table,), {})
    with psycopg.connect(postgres_lake) as connection:
        connection.execute(f"INSERT INTO {table.domain}.scores VALUES ('ann', 1, 1.50)")  # type: ignore[call-overload]
    return table


def test_new_columns_are_added_and_null_in_older_rows(old: Table) -> None:
    new = replace(old, columns={"team": "STRING", "tags": "ARRAY<STRING>", **COLUMNS})
    for _ in range(2):  # the second start finds them
        postgres_schema.create(new.domain, (new,), {"team": "who they play for"})
    (row,) = postgres.read_rows(new)
    assert row == {"team": None, "tags": None, "player": "ann", "points": 1, "prize": row["prize"]}
    with postgres.connect(new.domain) as connection:
        values = {"player": "ann", "team": "red"}
        postgres.upsert(connection, new, "SELECT %(team)s, '[\"new\"]'::jsonb, %(player)s, 2, 3.5", values)
    (row,) = postgres.read_rows(new)
    assert (row["team"], row["tags"], row["points"]) == ("red", ["new"], 2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"columns": {"player": "STRING"}},
            "in PostgreSQL may only get new columns; it has no column points, prize, which",
        ),
        (
            {"columns": {**COLUMNS, "prize": "DECIMAL(7,2)"}},
            "says that prize is numeric(7,2), in the table it is numeric(6,2)",
        ),
        ({"columns": {**COLUMNS, "points": "JSON"}}, "it says that points is jsonb, in the table it is bigint"),
        ({"keys": ("player", "points")}, "it gives it the key player, points, the table was written under player"),
    ],
)
def test_any_other_change_is_refused(old: Table, change: dict[str, Any], sentence: str) -> None:
    changed = replace(old, **change)
    with pytest.raises(RefusedError) as refused:
        postgres_schema.create(old.domain, (changed,), {})
    assert sentence in str(refused.value)
    assert postgres.read_rows(old)[0]["points"] == 1


def test_processes_that_start_at_once_add_a_column_once(old: Table) -> None:
    new = replace(old, columns={**COLUMNS, "team": "STRING"})
    barrier = threading.Barrier(4)

    def start(_: int) -> None:
        barrier.wait()
        postgres_schema.create(new.domain, (new,), {})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))
    assert postgres.read_rows(new)[0]["team"] is None
