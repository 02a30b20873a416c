"""What must be in the lake, recomputed from the topic with a plain consumer and a decoder of its own."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from jobs.houses.schema import AVERAGE_UPDATES, AVERAGES, AVERAGES_BATCHES, DEAD_LETTERS, HISTORY, SALES
from lakehouse.streaming import accepted_losses
from lakehouse.tables import table_io
from tests.audit.place import Site
from tests.e2e.running import read_topic

Cell = tuple[datetime, int]
WINDOW = timedelta(minutes=2)


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
    except (AttributeError, ValueError, KeyError, TypeError, ArithmeticError):
        return None


def check(site: Site) -> list[str]:
    """Everything that is wrong, a sentence each; empty when nothing is. For sales of which none is late."""
    records = read_topic(site.bootstrap_servers, SALES.name, SALES.partitions)
    return lost(site, records) + conservation(records) + averages(records) + batch_log(records) + updates(site)


def lost(site: Site, records: list[Any]) -> list[str]:
    """Each sale whose sending was acknowledged is on the topic."""
    there = {message.key() for message in records}
    gone = [number for number in range(site.sent) if str(number).encode() not in there]
    return [f"{len(gone)} sales are not on the topic though it acknowledged them: {gone[:5]}"] if gone else []


def conservation(records: list[Any]) -> list[str]:
    """Each record of the topic is in the history or in the dead letters, in the right one, and once."""
    lost = {
        (partition, at)
        for (_topic, partition), ranges in accepted_losses.accepted("houses").items()
        for at in ranges.to_offsets().tolist()
    }
    low = {message.partition(): message.offset() for message in reversed(records)}
    good = {(message.partition(), message.offset()) for message in records if decode(message)}
    bad = {(message.partition(), message.offset()) for message in records} - good
    wrong = []
    for table, expected in ((HISTORY, good - lost), (DEAD_LETTERS, bad - lost)):
        held = Counter(
            (row["partition"], row["offset"])
            for row in table_io.read(table, ["topic", "partition", "offset"]).to_pylist()
            if row["topic"] == SALES.name
        )
        twice = sorted(place for place, count in held.items() if count > 1)
        missing = sorted(expected - held.keys())
        foreign = sorted(place for place in held.keys() - expected if place[1] >= low[place[0]])
        for what, places in (("twice", twice), ("not at all", missing), ("wrongly", foreign)):
            if places:
                wrong.append(f"{table.name} holds {len(places)} records {what}: {places[:5]}")
    return wrong


def averages(records: list[Any]) -> list[str]:
    """Each row of the speed layer equals the recomputation, and is final when the watermark has passed its end."""
    cells: dict[Cell, list[int]] = {}
    for cell, cents in filter(None, map(decode, records)):
        cells.setdefault(cell, []).append(cents)
    expected = {cell: (len(cents), sum(cents), sum(cents) / (100 * len(cents))) for cell, cents in cells.items()}
    rows = table_io.read(AVERAGES).to_pylist()
    found = {(row["window_start"], row["decade"]): (row["sales"], row["sum_cents"], row["avg_price"]) for row in rows}
    wrong = [] if len(rows) == len(found) else [f"averages has {len(rows)} rows for {len(found)} keys"]
    differing = sorted(cell for cell in expected.keys() | found.keys() if expected.get(cell) != found.get(cell))
    if differing:
        first = differing[0]
        wrong.append(f"{len(differing)} averages differ, first {first}: {found.get(first)}, not {expected.get(first)}")
    watermark = max((row["watermark"] for row in log_rows() if row["watermark"]), default=None)
    if watermark:
        flags = [row for row in rows if row["is_final"] != (row["window_end"] <= watermark)]
        wrong += [f"{len(flags)} averages are wrongly final or provisional"] if flags else []
    return wrong


def log_rows() -> list[dict[str, Any]]:
    """The batch log."""
    found: list[dict[str, Any]] = table_io.read(AVERAGES_BATCHES).to_pylist()
    return found


def batch_log(records: list[Any]) -> list[str]:
    """Within a generation the batches of a partition follow on one another, each once, up to the topic's end."""
    ends = {message.partition(): message.offset() + 1 for message in records}
    wrong = []
    for partition, end in ends.items():
        spans = sorted((row["start_offset"], row["end_offset"]) for row in log_rows() if row["partition"] == partition)
        spans = [span for span in spans if span[0] < span[1]]
        at = spans[0][0] if spans else 0
        for start, stop in spans:
            if start != at:
                wrong.append(f"the batch log of partition {partition} has {start} after {at}")
            at = stop
        if at != end:
            wrong.append(f"the batch log of partition {partition} ends at {at}, the topic at {end}")
    return wrong


def updates(site: Site) -> list[str]:
    """The last update of each window on the topic has the numbers of its row."""
    last = {}
    for message in read_topic(site.bootstrap_servers, AVERAGE_UPDATES.name, AVERAGE_UPDATES.partitions):
        value = json.loads(message.value())
        start = datetime.fromtimestamp(value["WINDOW_START"] / 1000, UTC)
        last[start, value["DECADE_BUILT"]] = (value["NUM_HOUSES"], value["AVG_PRICE"])
    rows = {(row["window_start"], row["decade"]): row for row in table_io.read(AVERAGES).to_pylist()}
    wrong = [cell for cell, row in rows.items() if last.get(cell) != (row["sales"], row["avg_price"])]
    return [f"{len(wrong)} windows on the topic {AVERAGE_UPDATES.name} differ from their rows"] if wrong else []
