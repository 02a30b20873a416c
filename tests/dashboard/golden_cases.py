"""What each tile must show of the golden lake: a few lines each, of nothing but the files and the broker."""

import json
import math
import statistics
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable

from dashboard.pages.houses.bands import FEWEST, student
from jobs.houses import schema
from jobs.houses.price_model.pricer import Pricer
from lakehouse.settings import settings
from lakehouse.tables.table_io import Table
from tests.dashboard.golden import HOUSE, LATER, READ, SOLD


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


def band(row: dict[str, Any]) -> float | None:
    """Half of the 95 % band of a served row: Student's t times the standard error of the sales in history."""
    inside = [sale for sale in rows(schema.HISTORY) if row["window_start"] <= sale["event_at"] < row["window_end"]]
    prices = [float(sale["price"]) for sale in inside if sale["yr_built"] // 10 * 10 == row["decade"]]
    enough = len(prices) >= FEWEST
    return student(len(prices) - 1) * statistics.stdev(prices) / math.sqrt(len(prices)) if enough else None


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
    manifest: dict[str, Any] = json.loads((settings().var / f"models/houses/price/{version}/manifest.json").read_text())
    return manifest


def samples(name: str) -> list[float]:
    """A column of the averages query's history, oldest first."""
    files = sorted((settings().run / "metrics/houses.averages").glob("*.jsonl"))
    return [json.loads(line)[name] for file in files for line in file.read_text().splitlines()]


def reasons() -> dict[str, int]:
    """How many dead letters there are of each reason, most frequent first."""
    reasons = [row["reason"] for row in rows(schema.DEAD_LETTERS)]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons), key=reasons.count, reverse=True)}


def priced() -> dict[str, Any]:
    """The price of the house for sale."""
    return next(row for row in rows(schema.PRICES) if row["id"] == HOUSE)


def offered() -> list[float]:
    """The prices of all houses for sale, highest first."""
    return sorted((row["price"] for row in rows(schema.PRICES)), reverse=True)


def paid() -> dict[str, float]:
    """What was paid for each house that the live version knows as sold, from its file."""
    with np.load(settings().var / "models/houses/price/v0002/houses.npz") as found:
        columns = found["ids"].tolist(), found["prices"].tolist(), found["for_sale"].tolist()
    return {
        house: price for house, price, for_sale in zip(*columns, strict=True) if not (for_sale or math.isnan(price))
    }


def live_error() -> float:
    """How far the price of the house sold after it was priced was off."""
    price = next(float(row["price"]) for row in rows(schema.HISTORY) if row["id"] == LATER)
    return next(row["price"] for row in rows(schema.PRICES) if row["id"] == LATER) / price - 1


def predicted() -> list[list[Any]]:
    """The sales of houses that the model knows, newest first, each with its price from the model."""
    known = {row["id"]: row["price"] for row in rows(schema.PRICES)} | {SOLD: Pricer().price(SOLD).price}
    newest = reversed(rows(schema.HISTORY, "recorded_at"))
    return [[row["id"], known[row["id"]]] for row in newest if row["id"] in known]


def sold() -> list[dict[str, Any]]:
    """The sales of the house sold, newest first."""
    return [row for row in reversed(rows(schema.HISTORY, "event_at")) if row["id"] == SOLD]


class Case(NamedTuple):
    """A tile's number: the page, how it is read (see test_golden_in_browser), where, and what it must be."""

    page: str
    kind: str
    where: str
    wanted: Callable[[], Any]


def _metric(name: str) -> Callable[[], Any]:
    return lambda: [manifest(version)["metrics"][name] for version in ("v0001", "v0002")]


def _files(table: Table, name: str) -> int:
    files = list(table.path.rglob("*.parquet"))
    figures = {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "rows": len(rows(table))}
    return figures[name] if name in figures else DeltaTable(table.path).version()


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
    ("line", "houses-last-window-bars 0", lambda: [r["avg_price"] for r in last() if r["is_final"]]),
    ("line", "houses-last-window-bars 1", lambda: [r["avg_price"] for r in last() if not r["is_final"]]),
    ("bands", "houses-last-window-bars", lambda: [[r["avg_price"], band(r)] for r in last() if band(r)]),
    ("counts", "houses-last-window-bars", lambda: [COUNT(r["sales"]) for r in last()]),
    ("cells", "houses-last-window-table band", lambda: [band(r) for r in last()]),
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
    ("predicted", "houses-feed-grid", predicted),
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
    ("exact", "overview-houses-parity", lambda: 1 - len(differing()) / len(rows(schema.PARITY))),
    ("age", "overview-houses-age", lambda: max(r["event_at"] for r in rows(schema.HISTORY)).isoformat()),
    ("box", "flow-houses-topic-houses events", lambda: COUNT(sum(ends().values()))),
    ("box", "flow-houses-query-averages lag", lambda: COUNT(lag())),
    ("box", "flow-houses-query-history lag", lambda: COUNT(lag())),
    ("box", "flow-houses-table-averages rows", lambda: COUNT(len(rows(schema.AVERAGES)))),
    ("box", "flow-houses-table-averages provisional", lambda: COUNT(len([r for r in served(24) if not r["is_final"]]))),
    ("box", "flow-houses-table-history rows", lambda: COUNT(len(rows(schema.HISTORY)))),
    ("box", "flow-houses-table-dead_letters rows", lambda: COUNT(len(rows(schema.DEAD_LETTERS)))),
    ("box", "flow-houses-table-averages_batch rows", lambda: COUNT(len(rows(schema.AVERAGES_BATCH)))),
    ("box", "flow-houses-table-prices rows", lambda: COUNT(len(rows(schema.PRICES)))),
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
    ("cells", "models-live-error-table sales", lambda: [1]),
    ("cells", "models-live-error-table mape", lambda: [abs(live_error())]),
    ("cells", "models-newest-table error", lambda: [live_error()]),
]  # fmt: skip
_PRICE = [
    ("exact", "price-kpi-price", lambda: priced()["price"]),
    ("low", "price-kpi-interval", lambda: priced()["low"]),
    ("total", "price-waterfall", lambda: [priced()["price"]] * 2),
    ("sum", "price-contributions-table dollars", lambda: 2 * priced()["price"]),
    ("cells", "price-comparables-table price", lambda: [paid()[one.id] for one in Pricer().price(HOUSE).comparables]),
]  # fmt: skip
_SOLD = [
    ("exact", "house-kpi-paid", lambda: float(sold()[0]["price"])),
    ("text", "house-kpi-sales", lambda: COUNT(len(sold()))),
    ("cells", "house-sales-table price", lambda: [float(r["price"]) for r in sold()]),
    ("cells", "house-sales-table time", lambda: [r["event_at"].isoformat() for r in sold()]),
]
_MAP_SOLD = [
    ("exact", "map-kpi-houses", lambda: len(paid())),
    ("exact", "map-kpi-median", lambda: statistics.median(paid().values())),
    ("points_of_map", "map-points", lambda: sorted(paid())),
    ("cells", "map-table price", lambda: sorted(paid().values(), reverse=True)[:100]),
]
_MAP_FOR_SALE = [
    ("exact", "map-kpi-for-sale", lambda: len(offered())),
    ("exact", "map-kpi-median", lambda: statistics.median(offered())),
    ("cells", "map-table predicted", offered),
]
_FOR_SALE = [("exact", "house-kpi-predicted", lambda: priced()["price"])]
_PAGES = {
    "/houses": _HOUSES,
    "/": _OVERVIEW,
    "/health-ui": _HEALTH,
    "/models": _MODELS,
    f"/houses/price?id={HOUSE}": _PRICE,
}
_PAGES |= {"/houses/map?show=sold": _MAP_SOLD, "/houses/map?show=for-sale": _MAP_FOR_SALE}
_PAGES |= {f"/houses/house/{SOLD}": _SOLD, f"/houses/house/{HOUSE}": _FOR_SALE}
CASES = [Case(page, *case) for page, cases in _PAGES.items() for case in cases]
