"""A lake in which every number is known; golden_cases.py says what each tile must show of it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from confluent_kafka import Producer
from deltalake import write_deltalake

from jobs.houses import schema
from jobs.houses.price_model.answers import Answer
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.schema import PRICE_MODEL
from lakehouse.kafka import topics
from lakehouse.models.registry import Registry
from lakehouse.tables import table_io
from lakehouse.tables.table_io import Table
from tests.dashboard.pages.health import health_fakes
from tests.jobs.houses.price_model import fitting

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=2)
STAYS = datetime(2100, 1, 1, tzinfo=UTC)  # a driver whose last word never grows old
# For sale, sold, and sold on the stream after it was priced for sale.
HOUSE, SOLD, LATER = (str(fitting.real_houses().ids[at]) for at in (-1, 7, -2))
MARKUP = "<img src=x onerror=window.harm=1>"
READ = {"0": 1, "1": 1, "2": 0, "3": 0}  # how far the queries have read
Row = Mapping[str, Any]


def fill(broker: str = "") -> None:
    """Write the lake: sales, windows that differ between the layers, dead letters, models, drivers' files; a topic."""
    if broker:
        _events(broker, 7)
    _write(schema.HISTORY, [*map(_sale, range(1, 30)), _sale(30) | {"id": MARKUP}, _sale(31) | {"id": SOLD}])
    _write(schema.HISTORY, [_in_the_last_window(offset) for offset in range(32, 38)])
    _write(schema.HISTORY, [_sale(38) | {"id": LATER}])
    _write(schema.AVERAGES, [_average(n, decade) for n in range(40) for decade in (1950, 1990, 2000)])
    _write(schema.AVERAGES, [_average(40, 1990) | {"is_final": False}])
    _write(schema.AVERAGES_BATCH, [_batch(n) for n in range(12, 17)])
    _write(schema.PARITY, [_parity(0, "late and resent", 2.5, 1, 2), _parity(1, "late", -0.75, 2, 0), _parity(2)])
    _write(schema.DEAD_LETTERS, [_dead(90, "no price"), _dead(91, "no price"), _dead(92, "no id")])
    fitting.publish(Registry(PRICE_MODEL), factor=1.1)
    fitting.publish(Registry(PRICE_MODEL))
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
    write_deltalake(table_io.create(table), table_io.rows(table, rows), mode="append")


def _sale(offset: int) -> dict[str, Any]:
    at = NOON + timedelta(seconds=offset)
    row = {"id": f"house{offset}", "price": Decimal(f"{400_000 + offset * 1001}.25"), "yr_built": 1900 + offset}
    row |= {"bedrooms": 3, "bathrooms": 2.5, "sqft_living": 1800 + offset, "zipcode": 98103, "source": "stream"}
    return row | {"event_at": at, "topic": "houses", "partition": 0, "offset": offset, "recorded_at": at}


def _in_the_last_window(offset: int) -> dict[str, Any]:
    at = NOON + 40 * WINDOW + timedelta(seconds=offset)
    return _sale(offset) | {"yr_built": 1990 + offset % 4, "event_at": at, "recorded_at": at}


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
    """The prices of all houses for sale, by a version that went live before the first sale."""
    registry = Registry(PRICE_MODEL)
    state = json.loads(registry.file.read_text())
    for switch in state["switches"]:
        switch["at"] = (NOON - timedelta(hours=1)).isoformat()
    registry.file.write_text(json.dumps(state))
    everything = fitting.known(fitting.real_houses())
    offered = [str(house) for house in everything.houses.ids[everything.for_sale]]
    _write(schema.PRICES, [_price(Pricer().price(house)) for house in offered])


def _price(answer: Answer) -> Row:
    given = {"price": answer.price, "low": answer.low, "high": answer.high, "predicted_at": NOON}
    return {"model_version": "v0002", "id": answer.id} | given
