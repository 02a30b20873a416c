"""Totals in PostgreSQL, against a plain count: whatever comes twice, late, or in another order."""

import random
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

import lakehouse.settings
from jobs.production.audit import day_of
from jobs.production.plant import plant
from jobs.production.schema import BATCHES, DOMAIN, EVENT_COLUMNS, SERVING, TOTALS
from jobs.production.totals import TotalsSink
from lakehouse.contract import arrow_types
from lakehouse.core import kill_points
from lakehouse.errors import RefusedError, UnavailableError
from lakehouse.streaming.batch import Batch
from lakehouse.tables import table_io
from tests.jobs.production.line import NOON, Event, _at, count, counted, defect, passed

DAY = 24 * 60
ZONES = list(plant().zones)


def staged(events: Sequence[Event]) -> pa.Table:
    """Events as the streaming plan hands them on."""
    rows = [
        {
            "kind": "defect" if "concern_id" in event else "pass",
            "unit_id": event["qls_unit_id"],
            **{name: event.get(name) for name in ("collection_point_id", "zone_id", "concern_id", "zone_charged_id")},
            "event_at": _at(event),
        }
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=arrow_types.arrow_schema(EVENT_COLUMNS))


def batch(number: int, generation: str) -> Batch:
    where = ("production", 0)
    return Batch(generation, number, {where: 0}, {where: 1}, None, "totals")


def write(batches: Sequence[Sequence[Event]], generation: str = "") -> TotalsSink:
    writer = TotalsSink()
    generation = generation or uuid.uuid4().hex
    for number, events in enumerate(batches):
        writer._count(staged(events), batch(number, generation))
    return writer


def rows_of(dsn: str, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(f"SELECT * FROM production.{table}").fetchall()  # type: ignore[call-overload]


moments = st.sampled_from([0, 7, 61, 6 * 60, DAY - 1, DAY, DAY + 400])
events = st.one_of(
    st.builds(passed, st.sampled_from("abc"), st.sampled_from(ZONES[:3]), moments),
    st.builds(
        defect,
        st.sampled_from("abc"),
        st.sampled_from(ZONES[:3]),
        moments,
        st.sampled_from(ZONES[:2]),
        st.sampled_from(["gap", "dent"]),
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(st.lists(events, max_size=8), min_size=1, max_size=5), again=st.randoms(use_true_random=False))
def test_any_order_and_any_resend_end_in_a_plain_count(postgres_lake: str, sent: list[list[Event]], again: Any) -> None:
    everything = [event for part in sent for event in part]
    resent = [again.choice(everything) for _ in range(3)] if everything else []
    write([*sent, resent])
    totals = rows_of(postgres_lake, "totals")
    assert counted(totals) == count(everything)
    days = {(row["day"], row["zone_id"]) for row in totals}
    assert len(days) == len(totals)


def test_units_around_a_half_hour_clock_change_count_once_in_the_hours_of_their_day(
    postgres_lake: str, conf: Path
) -> None:
    conf.write_text(conf.read_text().replace('"UTC"', '"Australia/Lord_Howe"').replace("06:00", "02:15"))
    changes = [datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)]
    times = [change + timedelta(minutes=10 * step) for change in changes for step in range(-200, 200)]
    sent = [passed(f"u{number}", minutes=(at - NOON).total_seconds() / 60) for number, at in enumerate(times)]
    write([sent[::2], sent[1::2]])
    right = Counter(day_of(at, plant()) for at in times)
    for name in ("totals", "hours"):
        found: Counter[Any] = Counter()
        for row in rows_of(postgres_lake, name):
            found[row["day"]] += row["units"] if row["zone_id"] == "BODY" else 0
        assert found == right
    hours = {row["hour_start"]: row["day"] for row in rows_of(postgres_lake, "hours")}
    assert all(day_of(start, plant()) == day for start, day in hours.items())
    lengths = Counter(hours.values())
    days = (date(2026, 4, 4), date(2026, 4, 5), date(2026, 10, 3), date(2026, 10, 4))
    assert [lengths[day] for day in days] == [25, 24, 24, 24]  # of 24 and a half hours, and of 23 and a half


def test_texts_of_the_greatest_length_fit_every_key(postgres_lake: str) -> None:
    dice = random.Random(1)
    longest = ["".join(chr(0x20000 + dice.randrange(40_000)) for _ in range(128)) for _ in range(5)]
    unit, zone, charged, concern, point = longest
    sent = [passed(unit, zone, point=point), {**defect(unit, zone, 1, charged, concern), "collection_point_id": point}]
    write([sent])
    assert counted(rows_of(postgres_lake, "totals")) == count(sent)


def test_concerns_and_hours_add_up_to_the_totals(postgres_lake: str) -> None:
    sent = [
        [defect("a", "PAINT", 3, "BODY"), passed("a", minutes=-600), defect("a", "PAINT", 4, "BODY", "dent")],
        [passed("b", "PAINT", DAY), passed("a", "PAINT", 1), defect("b", "PAINT", 2 * DAY)],
        [passed("b", "PAINT", -30)],  # an earlier pass moves the unit and its defect to the day before
    ]
    write(sent)
    totals = {(row["day"], row["zone_id"]): row for row in rows_of(postgres_lake, "totals")}
    for name, column in (("concerns", "defects"), ("hours", "defects_found")):
        sums = dict.fromkeys(totals, 0)
        for row in rows_of(postgres_lake, name):
            sums[row["day"], row["zone_id"]] += row[column]
        assert sums == {key: row["defects_found"] for key, row in totals.items()}
    paint = [row for (_, zone), row in totals.items() if zone == "PAINT" and row["units"]]
    assert [(row["units"], row["defects_found"], row["throughput"]) for row in paint] == [(2, 3, 0)]


def test_a_batch_that_comes_again_changes_nothing_and_tells_the_same_rows(postgres_lake: str) -> None:
    generation = uuid.uuid4().hex
    writer = write([[passed("a"), passed("a", minutes=3 * DAY, zone="PAINT")]], generation)
    second = staged([passed("a", minutes=-DAY), defect("a")])
    counted = writer._count(second, batch(1, generation))
    before = rows_of(postgres_lake, "totals")
    assert TotalsSink()._count(second, batch(1, generation)) == counted
    assert rows_of(postgres_lake, "totals") == before
    assert {row["units"] for row in counted["totals"]} == {0, 1}  # the day that lost its unit is counted as well


class Frame:
    """The micro-batch as `write` uses it."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._rows = staged(events)

    def select(self, *_columns: str) -> "Frame":
        return self

    def toArrow(self) -> pa.Table:
        return self._rows


def test_a_batch_that_dies_at_any_point_is_the_same_in_both_stores_after_it_ran_again(
    postgres_lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [
        [passed("a"), passed("b", minutes=DAY), defect("a")],
        [passed("b", minutes=-DAY), defect("b"), passed("c", "PAINT", 90)],
        [passed("c", "PAINT", -DAY), defect("c", "PAINT", concern="dent")],
    ]
    generation, calls = uuid.uuid4().hex, 0

    def die(_point: str, _batch: int) -> None:
        nonlocal calls
        calls += 1
        if calls in dying:
            raise RuntimeError

    monkeypatch.setattr(kill_points, "point", die)
    for number, events in enumerate(batches):
        for last in range(1, 7):  # at each point in turn, then through
            calls, dying = 0, {last}
            with suppress(RuntimeError):
                TotalsSink().write(Frame(events), batch(number, generation))  # type: ignore[arg-type]
        for table in SERVING:
            ours, theirs = ([dict(row) for row in table_io.read(table).to_pylist()], rows_of(postgres_lake, table.name))
            order = lambda row, keys=table.keys: [str(row[key]) for key in keys]  # noqa: E731
            assert sorted(ours, key=order) == sorted(theirs, key=order)
    assert counted(rows_of(postgres_lake, "totals")) == count([event for events in batches for event in events])
    assert table_io.read(BATCHES).num_rows == len(batches)


def test_a_zombie_and_a_server_that_lost_batches_are_refused(postgres_lake: str) -> None:
    old = uuid.uuid4().hex
    write([[passed("a")], [passed("b")]], old)
    with pytest.raises(RefusedError, match="older than what PostgreSQL has"):
        TotalsSink()._count(staged([]), batch(0, old))
    new = uuid.uuid4().hex
    write([[passed("c")]], new)
    with pytest.raises(RefusedError, match="older than what PostgreSQL has"):
        TotalsSink()._count(staged([]), batch(2, old))
    with pytest.raises(RefusedError, match="lake rebuild"):
        TotalsSink()._count(staged([]), batch(7, new))
    assert counted(rows_of(postgres_lake, "totals")) == count([passed("c")])


def test_readers_read_and_the_tables_say_what_they_hold(postgres_lake: str) -> None:
    write([[passed("a")]])
    with psycopg.connect(postgres_lake, options="-c role=reader -c search_path=production") as reader:
        assert reader.execute("SELECT count(*) FROM totals").fetchone() == (2,)
        comment = reader.execute("SELECT col_description('totals'::regclass, 2)").fetchone()
        assert comment == ("a zone; 'line' is the whole line",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM totals")
        reader.execute("ROLLBACK")
        reader.execute("SET ROLE stream_writer")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DROP TABLE production.totals")


def test_a_server_that_is_away_is_unavailable(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_POSTGRES_DSN", "host=127.0.0.1 port=1 dbname=postgres user=lake")
    lakehouse.settings.settings.cache_clear()
    with pytest.raises(UnavailableError, match="PostgreSQL does not answer"):
        TotalsSink()._count(staged([passed("a")]), batch(0, "g"))


def test_every_column_has_a_meaning() -> None:
    from jobs.production.schema import CONCERNS, FACTS, HOURS, MEANINGS, PASSES

    for table in (TOTALS, HOURS, CONCERNS, PASSES, FACTS):
        assert not [name for name in table.columns if name not in MEANINGS], f"{DOMAIN.name}.{table.name}"
