"""What the views of events must show, computed from the topic by a decoder and a sum of their own."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.example.schema import TOTALS, TOTALS_BATCHES
from tests.sites import Site
from tests.windows import Cell, rows_wrong

WINDOW = timedelta(minutes=1)


def number(message: Any) -> int | None:
    """The number of an event that the audit sent: its key."""
    key = message.key().decode()
    return int(key) if key.isdigit() else None


def decode(message: Any) -> tuple[Cell, int] | None:
    """Window start, id and quantity of a valid event; None for everything else."""
    try:
        event = json.loads(message.value().decode())
        at, quantity = datetime.fromisoformat(event["happened_at"]), event["quantity"]
        if not isinstance(quantity, int):
            return None
        start = datetime.fromtimestamp(at.timestamp() // WINDOW.seconds * WINDOW.seconds, UTC)
        return (start, event["id"]), quantity
    except (AttributeError, ValueError, KeyError, TypeError):
        return None


def wrong(_site: Site, sent: list[Any]) -> list[str]:
    """What is wrong with the totals."""
    cells: dict[Cell, list[int]] = {}
    for cell, quantity in filter(None, map(decode, sent)):
        cells.setdefault(cell, []).append(quantity)
    expected = {cell: (len(all_of), sum(all_of), sum(all_of) / len(all_of)) for cell, all_of in cells.items()}
    return rows_wrong(TOTALS, TOTALS_BATCHES, "id", ("events", "sum_quantity", "avg_quantity"), expected)
