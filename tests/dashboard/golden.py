"""A lake in which every number is known, and what each tile must show of it: computed here from the files alone."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition
from deltalake import DeltaTable, write_deltalake

from jobs.houses import schema
from jobs.houses.pricing import Pricer
from lakehouse import tables, topics
from lakehouse.models import Registry
from lakehouse.settings import settings
from lakehouse.tables import Table
from tests.dashboard import health_fakes
from tests.jobs.houses import fitting

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=2)
STAYS = datetime(2100, 1, 1, tzinfo=UTC)  # a driver whose last word never grows old
HOUSE, SOLD = (str(fitting.real_houses().ids[at]) for at in (-1, 7))  # for sale, and sold
MARKUP = "<img src=x onerror=window.harm=1>"
READ = {"0": 1, "1": 1, "2": 0, "3": 0}  # how far the queries have read
Row = Mapping[str, Any]


def fill(broker: str = "") -> None:
    """Write the lake: sales, windows that differ between the layers, dead letters, models, drivers' files; a topic."""
    if broker:
        _events(broker, 7)
    _write(schema.HISTORY, [*map(_sale, range(1, 30)), _sale(30) | {"id": MARKUP}, _sale(31) | {"id": SOLD}])
    _write(schema.AVERAGES, [_average(n, decade) for n in range(40) for decade in (1950, 1990, 2000)])
    _write(schema.AVERAGES, [_average(40, 1990) | {"is_final": False}])
    _write(schema.AVERAGES_BATCH, [_batch(n) for n in range(12, 17)])
    _write(schema.PARITY, [_parity(0, "late and resent", 2.5, 1, 2), _parity(1, "late", -0.75, 2, 0), _parity(2)])
    _write(schema.DEAD_LETTERS, [_dead(90, "no price"), _dead(91, "no price"), _dead(92, "no id")])
    fitting.publish(Registry("houses"), factor=1.1)
    fitting.publish(Registry("houses"))
    _prices()
    for query in schema.DOMAIN.queries:
        health_fakes.checkpoint(query, batch=9, ends={"houses": READ})
        health_fakes.progress(query, STAYS)
        samples = [(60.0 * n, {"input": 20.0 + n, "processed": 50.5 + n, "seconds": n / 10}) for n in range(20, 0, -1)]
        health_fakes.history(f"houses.{query}", iter(samples))
    health_fakes.processes(restarts=3)


def _events(broker: str, number: int) -> None:
    topics.ensure(broker, schema.DOMAIN.topics)
    producer = Producer({"bootstrap.servers": broker})
    for event in range(number):
        producer.produce(schema.SALES.name, f"event {event}", partition=event % 4)
    assert producer.flush(30) == 0


def _write(table: Table, rows: list[Row]) -> None:
    write_deltalake(tables.create(table), tables.rows(table, rows), mode="append")


def _sale(offset: int) -> dict[str, Any]:
    at = NOON + timedelta(seconds=offset)
    row = {"id": f"house{offset}", "price": Decimal(f"{400_000 + offset * 1001}.25"), "yr_built": 1900 + offset}
    row |= {"bedrooms": 3, "bathrooms": 2.5, "sqft_living": 1800 + offset, "zipcode": 98103, "source": "stream"}
    return row | {"event_at": at, "topic": "houses", "partition": 0, "offset": offset, "recorded_at": at}


def _average(number: int, decade: int) -> dict[str, Any]:
    start, sales, price = NOON + number * WINDOW, 2 + number % 3, 300_000.25 + number * 1000 + decade
    row = {"window_start": start, "window_end": start + WINDOW, "decade": decade, "avg_price": price, "sales": sales}
    row |= {"sum_cents": round(price * sales * 100), "is_final": True, "generation": "g", "batch_id": number}
    return row | {"updated_at": start + WINDOW}


def _batch(number: int) -> dict[str, Any]:
    names = [name for name in schema.AVERAGE_COLUMNS if name in _average(number, 1990)]
    row = {name: _average(number, 1990)[name] for name in names} | {"avg_price": 299_999.5 + number, "sales": 1}
    row |= {"sum_cents": 29_999_950 + 100 * number, "covered_generation": "g", "covered_batch_id": number}
    return row | {"history_version": 1, "recomputed_at": NOON}


def _parity(number: int, cause: str = "equal", difference: float = 0.0, late: int = 0, resent: int = 0) -> Row:
    start = NOON + number * WINDOW
    row = {"window_start": start, "window_end": start + WINDOW, "decade": 1990, "speed_sales": 3, "batch_sales": 2}
    row |= {"speed_avg_price": 500_000.0, "batch_avg_price": 500_000.0 + difference, "difference": difference}
    return row | {"late": late, "resent": resent, "cause": cause, "recomputed_at": NOON}


def _dead(offset: int, reason: str) -> Row:
    at = NOON + timedelta(seconds=offset)
    row = {"topic": "houses", "partition": 0, "offset": offset, "recorded_at": at}
    return row | {"reason": reason, "value": b"{}"}


def _prices() -> None:
    answer = Pricer().price(HOUSE)
    given = {"price": answer.price, "low": answer.low, "high": answer.high, "predicted_at": NOON}
    _write(schema.PRICES, [{"model_version": "v0002", "id": HOUSE} | given])


# What must be shown, from here on: a few lines each, of nothing but the files and the broker.


def rows(table: Table, *order: str) -> list[dict[str, Any]]:
    """The rows of a table, straight from Delta."""
    found = DeltaTable(table.path).to_pyarrow_table()
    return found.sort_by([(name, "ascending") for name in order]).to_pylist() if order else found.to_pylist()


def served(hours: float = 1) -> list[dict[str, Any]]:
    """The batch row where there is one, else the speed row; those of the range, by window and decade."""
    by_key = {(row["window_start"], row["decade"]): row | {"layer": "speed"} for row in rows(schema.AVERAGES)}
    for row in rows(schema.AVERAGES_BATCH):
        by_key[row["window_start"], row["decade"]] = row | {"layer": "batch", "is_final": True}
    since = max(start for start, _ in by_key) - timedelta(hours=hours)
    return [by_key[key] for key in sorted(by_key) if key[0] >= since]


def last() -> list[dict[str, Any]]:
    """The newest window of each decade."""
    newest = {row["decade"]: row for row in served()}
    return [newest[decade] for decade in sorted(newest)]


def newest_window() -> list[dict[str, Any]]:
    """The rows of the newest window."""
    every = served(24)
    return [row for row in every if row["window_start"] == every[-1]["window_start"]]


def by_decade(name: str) -> list[list[Any]]:
    """A column of the served windows, a list per decade."""
    return [[row[name] for row in served() if row["decade"] == decade] for decade in (1950, 1990, 2000)]


def differing() -> list[dict[str, Any]]:
    """Where the layers differ, newest first."""
    return [row for row in reversed(rows(schema.PARITY, "window_start")) if row["cause"] != "equal"]


def ends() -> dict[str, int]:
    """The end of each partition of the topic, from the broker."""
    consumer = Consumer({"bootstrap.servers": settings().bootstrap_servers, "group.id": "golden"})
    marks = {part: consumer.get_watermark_offsets(TopicPartition(schema.SALES.name, part), 10)[1] for part in range(4)}
    consumer.close()
    return {str(part): end for part, end in marks.items()}


def lag() -> int:
    """Events that the queries have not read."""
    return sum(end - READ[part] for part, end in ends().items())


def manifest(version: str) -> dict[str, Any]:
    """A version's manifest as it lies on disk."""
    told: dict[str, Any] = json.loads((settings().var / f"models/houses/{version}/manifest.json").read_text())
    return told


def samples(name: str) -> list[float]:
    """A column of the averages query's history, oldest first."""
    files = sorted((settings().run / "metrics/houses.averages").glob("*.jsonl"))
    return [json.loads(line)[name] for file in files for line in file.read_text().splitlines()]


def reasons() -> dict[str, int]:
    """How many dead letters there are of each reason, most frequent first."""
    told = [row["reason"] for row in rows(schema.DEAD_LETTERS)]
    return {reason: told.count(reason) for reason in sorted(set(told), key=told.count, reverse=True)}


def priced() -> dict[str, Any]:
    """The price of the house for sale."""
    return next(row for row in rows(schema.PRICES) if row["id"] == HOUSE)


def waited(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Poll until it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "not true in time"
        time.sleep(0.1)
    return found


class Case(NamedTuple):
    """A tile's number: the page, how it is read (see test_golden_in_browser), where, and what it must be."""

    page: str
    kind: str
    where: str
    wanted: Callable[[], Any]


def _metric(name: str) -> Callable[[], Any]:
    return lambda: [manifest(version)["metrics"][name] for version in ("v0001", "v0002")]


def _files(table: Table, name: str) -> int:
    files = list(table.path.glob("*.parquet"))
    told = {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "rows": len(rows(table))}
    return told[name] if name in told else DeltaTable(table.path).version()


def _tables(name: str) -> Callable[[], Any]:
    there = lambda table: (table.path / "_delta_log").exists()  # noqa: E731
    return lambda: [_files(table, name) if there(table) else None for table in schema.DOMAIN.tables]


MONEY, COUNT = "${:,.0f}".format, "{:,}".format
_HOUSES = [
    ("text", "houses-kpi-average", lambda: MONEY(sum(r["sum_cents"] for r in newest_window()) / 100
                                                / sum(r["sales"] for r in newest_window()))),
    ("text", "houses-kpi-sales", lambda: COUNT(sum(r["sales"] for r in newest_window()))),
    ("text", "houses-kpi-history", lambda: COUNT(len([r for r in rows(schema.HISTORY) if r["offset"] is not None]))),
    ("text", "houses-kpi-provisional", lambda: COUNT(len([r for r in served(24) if not r["is_final"]]))),
    ("age", "houses-kpi-age", lambda: max(r["event_at"] for r in rows(schema.HISTORY)).isoformat()),
    ("chart", "houses-last-window-bars y", lambda: [[r["avg_price"] for r in last() if r["is_final"] is final]
                                                   for final in (True, False)]),
    ("chart", "houses-last-window-bars text", lambda: [[COUNT(r["sales"]) for r in last() if r["is_final"] is final]
                                                      for final in (True, False)]),
    ("cells", "houses-last-window-table avg_price", lambda: [r["avg_price"] for r in last()]),
    ("cells", "houses-last-window-table sales", lambda: [r["sales"] for r in last()]),
    ("chart", "houses-windows-lines y", lambda: by_decade("avg_price")),
    ("chart", "houses-windows-lines x", lambda: [[at.isoformat() for at in one] for one in by_decade("window_start")]),
    ("chart", "houses-windows-lines customdata", lambda: [[[r["sales"], r["layer"]] for r in served()
                                                          if r["decade"] == d] for d in (1950, 1990, 2000)]),
    ("windows", "houses-windows-data", lambda: [[r["window_start"].isoformat(), r["decade"], r["avg_price"], r["sales"]]
                                               for r in sorted(served(), key=lambda r: (-r["window_start"].timestamp(),
                                                                                        r["decade"]))]),
    ("feed", "houses-feed-grid", lambda: [[r["id"], float(r["price"]), r["sqft_living"]]
                                         for r in reversed(rows(schema.HISTORY, "recorded_at"))]),
    ("exact", "parity-kpi-late", lambda: sum(r["late"] for r in differing())),
    ("exact", "parity-kpi-resent", lambda: sum(r["resent"] for r in differing())),
    ("exact", "parity-kpi-worst", lambda: max(abs(r["difference"]) for r in differing())),
    ("exact", "parity-kpi-missing", lambda: len([r for r in differing() if r["speed_sales"] is None])),
    ("cells", "houses-parity-table difference", lambda: [r["difference"] for r in differing()]),
    ("cells", "houses-parity-table batch", lambda: [r["batch_avg_price"] for r in differing()]),
]  # fmt: skip
_OVERVIEW = [
    ("text", "overview-houses-topic", lambda: COUNT(sum(ends().values()))),
    ("text", "overview-houses-history", lambda: COUNT(len(rows(schema.HISTORY)))),
    ("text", "overview-houses-dead-letters", lambda: COUNT(len(rows(schema.DEAD_LETTERS)))),
    ("age", "overview-houses-age", lambda: max(r["event_at"] for r in rows(schema.HISTORY)).isoformat()),
    ("box", "flow-houses-topic events", lambda: COUNT(sum(ends().values()))),
    ("box", "flow-houses-speed-query lag", lambda: COUNT(lag())),
    ("box", "flow-houses-history-query lag", lambda: COUNT(lag())),
    ("box", "flow-houses-speed rows", lambda: COUNT(len(rows(schema.AVERAGES)))),
    ("box", "flow-houses-speed provisional", lambda: COUNT(len([r for r in served(24) if not r["is_final"]]))),
    ("box", "flow-houses-history rows", lambda: COUNT(len(rows(schema.HISTORY)))),
    ("box", "flow-houses-dead-letters rows", lambda: COUNT(len(rows(schema.DEAD_LETTERS)))),
    ("box", "flow-houses-batch rows", lambda: COUNT(len(rows(schema.AVERAGES_BATCH)))),
    ("box", "flow-houses-page from batch", lambda: COUNT(len([r for r in served(24) if r["layer"] == "batch"]))),
    ("box", "flow-houses-page from speed", lambda: COUNT(len([r for r in served(24) if r["layer"] == "speed"]))),
]  # fmt: skip
_HEALTH = [
    ("cells", "health-queries-table lag", lambda: [lag()] * 2),
    ("cells", "health-queries-table batch", lambda: [9, 9]),
    ("cells", "health-partitions-table lag", lambda: [end - READ[part] for part, end in sorted(ends().items())] * 2),
    ("cells", "health-partitions-table end", lambda: [end for _, end in sorted(ends().items())] * 2),
    ("cells", "health-history-table seconds", lambda: [max(samples("seconds"))] * 2),
    ("points", "health-rate-chart 0", lambda: samples("input")),
    ("points", "health-rate-chart 1", lambda: samples("processed")),
    ("points", "health-seconds-chart 0", lambda: samples("seconds")),
    ("newest", "health-lag-chart 0", lag),
    ("topic", "health-topics-table end", lambda: sum(ends().values())),
    ("topic", "health-topics-table lag", lag),
    ("cells", "health-dead-letters-table count", lambda: [*reasons().values()]),
    ("cells", "health-tables-table rows", _tables("rows")),
    ("cells", "health-tables-table files", _tables("files")),
    ("cells", "health-tables-table bytes", _tables("bytes")),
    ("cells", "health-tables-table version", _tables("version")),
    ("cells", "health-processes-table restarts", lambda: [3]),
]  # fmt: skip
_MODELS = [
    ("text", "models-kpi-live", lambda: "v0002"),
    ("exact", "models-kpi-mape", lambda: manifest("v0002")["metrics"]["mape"]),
    ("exact", "models-kpi-r2", lambda: manifest("v0002")["metrics"]["r2"]),
    ("text", "models-kpi-sales", lambda: COUNT(manifest("v0002")["rows"]["distinct"])),
    ("age", "models-kpi-age", lambda: manifest("v0002")["trained_at"]),
    ("line", "models-trend-lines 0", _metric("mape")),
    ("line", "models-trend-lines 1", _metric("r2")),
    ("cells", "models-trend-table mape", _metric("mape")),
    ("cells", "models-versions-table r2", lambda: _metric("r2")()[::-1]),
]  # fmt: skip
_PRICE = [
    ("exact", "price-kpi-price", lambda: priced()["price"]),
    ("low", "price-kpi-interval", lambda: priced()["low"]),
    ("total", "price-waterfall", lambda: [priced()["price"]] * 2),
    ("sum", "price-contributions-table dollars", lambda: 2 * priced()["price"]),
]  # fmt: skip
_PAGES = {"/houses": _HOUSES, "/": _OVERVIEW, "/health-ui": _HEALTH, "/models": _MODELS, f"/price?id={HOUSE}": _PRICE}
CASES = [Case(page, *case) for page, cases in _PAGES.items() for case in cases]
