"""Sales of another county, Perth in Western Australia, as a plain producer sends them: ten fields and a place."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from deltalake import write_deltalake

from jobs.houses.schema import HISTORY
from lakehouse.tables import table_io

PERTH = Path(__file__).parents[2] / "cases/20-plain-producer/perth.jsonl"
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def perth() -> list[dict[str, Any]]:
    """The sales of the file, as they were sent."""
    lines = [json.loads(line) for line in PERTH.read_text().splitlines()]
    return [json.loads(line["value"].replace("@RUN@", "run")) for line in lines]


def county(count: int = 800) -> list[dict[str, Any]]:
    """So many houses like those of the file around the same place; larger ones and those farther east cost more."""
    dice = np.random.default_rng(1)
    sent = perth()
    rows = []
    for number in range(count):
        size, north, east = int(dice.integers(700, 4000)), *dice.normal(0, 0.05, 2)
        price = round(150_000 + 300 * size * float(np.exp(2 * east + dice.normal(0, 0.1))))
        place = {"lat": -31.95 + north, "long": 115.86 + east, "sqft_living": size, "price": price}
        built = {"yr_built": int(dice.integers(1920, 2020)), "bedrooms": int(dice.integers(1, 6))}
        rows.append({**sent[number % len(sent)], "id": f"WA-run-{100 + number}", **place, **built})
    return rows


def stream(sales: list[dict[str, Any]]) -> None:
    """Write sales to the history as the stream does: a day's worth every 200."""
    rows = [
        sale
        | {"price": Decimal(sale["price"]), "bathrooms": float(sale["bathrooms"]), "floors": float(sale["floors"])}
        | {"source": "stream", "topic": "houses", "partition": 0, "offset": offset}
        | dict.fromkeys(("event_at", "recorded_at"), AT + timedelta(days=offset // 200))
        for offset, sale in enumerate(sales)
    ]
    write_deltalake(table_io.create(HISTORY), table_io.rows(HISTORY, rows), mode="append")
