"""Late and resent sales through stream, recomputation and the served row, against counts in plain Python."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from jobs.houses.recompute import recompute
from jobs.houses.schema import AVERAGES, AVERAGES_BATCH, DOMAIN, PARITY, SALES, WINDOW
from lakehouse.kafka import topics
from lakehouse.tables import table_io
from lakehouse.tables.served_layer import served
from tests.e2e.running import drain, read_topic
from tests.jobs.houses import oracle
from tests.jobs.houses.oracle import Sale
from tests.jobs.houses.sales import event
from tests.jobs.houses.suite import queries

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("lake")]
START = datetime.now(UTC).replace(second=0, microsecond=0)
START -= timedelta(minutes=20 + START.minute % 2)  # of a window, long closed when it is sent again
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATENESS, WINDOW_MICROS = 30_000_000, 120_000_000
Cell = tuple[int, int]


def sale(name: str, seconds: float, yr_built: int, price: int) -> dict[str, Any]:
    sold_at = (START + timedelta(seconds=seconds)).isoformat()
    return event(event_id=name, sold_at=sold_at, yr_built=yr_built, price=price)


OLD = [sale(f"old{n}", 5 * n, 1900 + 10 * (n % 3), 100_000 + n) for n in range(20)]
NEW = [sale(f"new{n}", 1190 + n, 1900, 200_000 + n) for n in range(10)]
THEN = [
    sale("late0", 60, 1900, 999_999),  # into a window that the speed layer has
    sale("late1", 60, 1930, 555_555),  # a row that it never had
    *OLD[:4],  # late and resent
    *NEW[:3],  # resent while their window is open
    sale("more", 1195, 1900, 300_000),
]


def send(broker: str, sales: Iterable[dict[str, Any]]) -> None:
    producer = Producer({"bootstrap.servers": broker})
    for each in sales:
        producer.produce(SALES.name, json.dumps(each), partition=0)
    assert producer.flush(60) == 0


def sales_on_topic(broker: str) -> list[Sale]:
    """In the order in which they were sent."""
    found = [oracle.decode(message.value(), message.timestamp()[1]) for message in read_topic(broker, SALES.name, [0])]
    return [each for each in found if each]


def cells(table: table_io.Table) -> dict[Cell, dict[str, Any]]:
    rows = table_io.read(table).to_pylist()
    return {((row["window_start"] - EPOCH) // timedelta(microseconds=1), row["decade"]): row for row in rows}


def values(rows: dict[Cell, dict[str, Any]]) -> dict[Cell, tuple[float, int, int]]:
    return {cell: (row["avg_price"], row["sales"], row["sum_cents"]) for cell, row in rows.items()}


def served_layer() -> pd.DataFrame:
    speed, batch = (table_io.read(table).to_pandas() for table in (AVERAGES, AVERAGES_BATCH))
    return served(speed, batch, AVERAGES.keys)


def test_late_and_resent_are_counted_and_set_right_once(spark: SparkSession, broker: str) -> None:
    topics.ensure(broker, DOMAIN.topics)
    send(broker, [*OLD, *NEW])
    drain(spark, broker, queries(broker))
    first = sales_on_topic(broker)
    assert len(first) == len(OLD) + len(NEW)
    closed = max(each.event_at for each in first) - LATENESS
    send(broker, THEN)
    drain(spark, broker, queries(broker))
    everything = sales_on_topic(broker)
    later = everything[len(first) :]
    late = [each for each in later if each.window_and_decade[0] + WINDOW_MICROS <= closed]
    resent = [each for number, each in enumerate(everything) if each.event_id in ids(everything[:number])]
    assert (len(late), len(resent)) == (6, 7)

    counted = [*first, *[each for each in later if each not in late]]
    assert values(cells(AVERAGES)) == oracle.averages(counted)
    assert set(served_layer()["layer"]) == {"speed"}

    recompute(spark, WINDOW, None)
    right = oracle.averages(list({each.event_id: each for each in reversed(everything)}.values()))
    batch = cells(AVERAGES_BATCH)
    assert values(batch) == right
    parity = cells(PARITY)
    assert counts(parity, "late") == Counter(each.window_and_decade for each in late)
    assert counts(parity, "resent") == Counter(each.window_and_decade for each in resent)
    speed = oracle.averages(counted)
    for cell, row in parity.items():
        assert row["speed_avg_price"] == speed.get(cell, (None,))[0]
        assert row["batch_avg_price"] == right[cell][0]
        is_equal = speed.get(cell) == right[cell]  # a late resend is in neither layer's number
        assert row["cause"] == ("equal" if is_equal else cause(row["late"], row["resent"]))
    shown = served_layer()
    assert set(shown["layer"]) == {"batch"}
    assert sorted(shown["sum_cents"]) == sorted(cents for _average, _sales, cents in right.values())

    recompute(spark, WINDOW, None)
    assert without_time(cells(AVERAGES_BATCH)) == without_time(batch)
    assert without_time(cells(PARITY)) == without_time(parity)
    pd.testing.assert_frame_equal(served_layer(), shown)


def ids(sales: list[Sale]) -> set[str | None]:
    return {each.event_id for each in sales}


def counts(parity: dict[Cell, dict[str, Any]], name: str) -> Counter[Cell]:
    return Counter({cell: row[name] for cell, row in parity.items() if row[name]})


def cause(late: int, resent: int) -> str:
    return {(True, True): "late and resent", (True, False): "late", (False, True): "resent"}.get(
        (late > 0, resent > 0), "equal"
    )


def without_time(rows: dict[Cell, dict[str, Any]]) -> dict[Cell, dict[str, Any]]:
    return {cell: {name: value for name, value in row.items() if name != "recomputed_at"} for cell, row in rows.items()}
