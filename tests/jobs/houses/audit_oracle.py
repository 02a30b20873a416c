"""What the views of sales must show, computed from the topic by a decoder and a sum of their own."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from jobs.houses.schema import AVERAGE_UPDATES, AVERAGES, AVERAGES_BATCHES
from lakehouse.tables import table_io
from tests.e2e.running import read_topic
from tests.sites import Site
from tests.windows import rows_wrong

Cell = tuple[datetime, int]
WINDOW = timedelta(minutes=2)


def number(message: Any) -> int | None:
    """The number of a sale that the audit sent: its key."""
    key = (message.key() or b"").decode()
    return int(key) if key.isdigit() else None


def decode(message: Any) -> tuple[Cell, int] | None:
    """Window start, decade, and price in cents of a valid sale; None for everything else."""
    try:
        sale = json.loads(message.value().decode())
        sold, price = datetime.fromisoformat(sale["sold_at"]), Decimal(str(sale["price"]))
        recorded = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        if not price > 0 or sold > recorded + timedelta(minutes=5):
            return None
        start = datetime.fromtimestamp(sold.timestamp() // WINDOW.seconds * WINDOW.seconds, UTC)
        return (start, sale["yr_built"] // 10 * 10), int(price * 100)
    except (AttributeError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None


def wrong(site: Site, sent: list[Any]) -> list[str]:
    """What is wrong with the averages and with their topic."""
    return averages(sent) + updates(site)


def averages(sent: list[Any]) -> list[str]:
    """Each row of the speed layer equals the recomputation, and is final when the watermark has passed its end."""
    cells: dict[Cell, list[int]] = {}
    for cell, cents in filter(None, map(decode, sent)):
        cells.setdefault(cell, []).append(cents)
    expected = {cell: (len(cents), sum(cents), sum(cents) / (100 * len(cents))) for cell, cents in cells.items()}
    return rows_wrong(AVERAGES, AVERAGES_BATCHES, "decade", ("sales", "sum_cents", "avg_price"), expected)


def updates(site: Site) -> list[str]:
    """The last update of each window on the topic has the numbers of its row."""
    last = {}
    for message in read_topic(site.bootstrap_servers, AVERAGE_UPDATES.name, AVERAGE_UPDATES.partitions):
        value = json.loads(message.value())
        start, end = (datetime.fromtimestamp(value[f"WINDOW_{name}"] / 1000, UTC) for name in ("START", "END"))
        if end - start == WINDOW:  # others are of a run with another window
            last[start, value["DECADE_BUILT"]] = (value["NUM_HOUSES"], value["AVG_PRICE"])
    rows = {(row["window_start"], row["decade"]): row for row in table_io.read(AVERAGES).to_pylist()}
    wrong = [cell for cell, row in rows.items() if last.get(cell) != (row["sales"], row["avg_price"])]
    return [f"{len(wrong)} windows on the topic {AVERAGE_UPDATES.name} differ from their rows"] if wrong else []
