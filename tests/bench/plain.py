"""The plain ways that the stream is compared with: one Python process with confluent-kafka, from the topic's start to
its end. `raw` only reads the bytes, `unchecked` sums prices by window and decade, `checked` keeps to the rules as well.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from jobs.houses import audit_rules
from jobs.houses.schema import SALES

# With the client's defaults it stands idle half of the time.
FAST = {"queued.min.messages": 1_000_000, "fetch.queue.backoff.ms": 10, "queued.max.messages.kbytes": 1_000_000}
WINDOW_SECONDS = 120
EARLIEST, AHEAD = audit_rules.YEAR_2000 / 1e6, audit_rules.AHEAD / 1e6
READABLE = audit_rules.YEAR_1900 / 1e6, audit_rules.YEAR_2200 / 1e6
Key = tuple[int, int]  # window's start in epoch seconds, decade
Sums = dict[Key, list[int]]  # sales, cents


Bounds = list[tuple[str, tuple[type, ...], float, float]]


def _bounds(needed: bool) -> Bounds:
    numbers = {"whole": (int,), "flag": (int,), "real": (int, float)}
    return [
        (name, numbers[kind], low, high)
        for name, (kind, must, low, high) in audit_rules.NUMBERS.items()
        if must is needed and kind in numbers
    ]


NEEDED, OPTIONAL = _bounds(True), _bounds(False)


class Unusual(Exception):
    """The fast way does not know; the exact one decides."""


def _no_constant(name: str) -> Any:
    raise Unusual(name)


_load = json.JSONDecoder(parse_constant=_no_constant).decode


def _seconds(text: Any) -> float:
    """Epoch seconds of a time as most senders write it."""
    if type(text) is str and len(text) == 24 and text[4:20:3] == "--T::." and text[23] == "Z":
        return datetime.fromisoformat(text).timestamp()
    raise Unusual(text)


def _cents(price: Any) -> int:
    if type(price) is int:
        return price * 100
    if type(price) is float:
        cents = round(price * 100)
        if abs(price * 100 - cents) < 1e-5:
            return cents
    raise Unusual(price)


def checked(value: bytes | None, millis: int) -> tuple[float, int, int] | None:
    """A valid sale's event time in seconds, year built and cents; None when the record is no valid sale."""
    try:
        return _fast(value, millis)
    except (Unusual, ValueError, TypeError, AttributeError, RecursionError):
        pass
    try:
        sale = audit_rules.sale(value, millis * 1000)
    except audit_rules.NoSale:
        return None
    return sale["event_at"] / 1e6, sale["yr_built"], int(sale["price"] * 100)


def _fast(value: Any, millis: int) -> tuple[float, int, int]:
    """As `checked`, for sales as producers write them; raises Unusual for everything else, valid or not."""
    sale = _load(value.decode())
    # A name twice, an array, an object within, an escape or a very long value: the strict reading is needed.
    if value.count(b'":') != len(sale) or len(value) > 1000 or b"[" in value or b"\\" in value:
        raise Unusual
    get = sale.get
    house, event_id, listed = get("id"), get("event_id"), get("listed_at")
    if (
        type(house) is not str
        or not 1 <= len(house) <= 64
        or house[0] == "0"
        or not (house.isascii() and house.isalnum())
    ):
        raise Unusual
    for name, kinds, low, high in NEEDED:
        if type(number := get(name)) not in kinds or not low <= number <= high:
            raise Unusual
    for name, kinds, low, high in OPTIONAL:
        number = get(name)
        if number is not None and (type(number) not in kinds or not low <= number <= high):
            raise Unusual
    if event_id is not None and (type(event_id) is not str or not 1 <= len(event_id) <= 128):
        raise Unusual
    if listed is not None and not READABLE[0] <= _seconds(listed) <= READABLE[1]:
        raise Unusual
    event_at, cents = _seconds(get("sold_at")), _cents(get("price"))
    if not (EARLIEST <= event_at <= millis / 1000 + AHEAD and 1 <= cents <= 10_000_000_000):
        raise Unusual
    return event_at, sale["yr_built"], cents


def unchecked(value: bytes, _millis: int) -> tuple[float, int, int]:
    """A sale's event time, year built and cents, taken as they are."""
    sale = json.loads(value)
    return datetime.fromisoformat(sale["sold_at"]).timestamp(), sale["yr_built"], round(sale["price"] * 100)


def averages(records: Iterator[tuple[Any, int]], read: Callable[[Any, int], tuple[float, int, int] | None]) -> Sums:
    """Sales and their cents by window and decade, from values with their timestamps in milliseconds."""
    sums: Sums = defaultdict(lambda: [0, 0])
    for value, millis in records:
        if found := read(value, millis):
            seconds, year, cents = found
            row = sums[int(seconds // WINDOW_SECONDS) * WINDOW_SECONDS, year // 10 * 10]
            row[0] += 1
            row[1] += cents
    return sums


def messages(bootstrap_servers: str, topic: str) -> Iterator[Any]:
    """Every message that the topic holds now."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "plain", "enable.auto.commit": False, **FAST}
    )
    left, places = 0, []
    for partition in consumer.list_topics(topic, 10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        places.append(TopicPartition(topic, partition, low))
        left += high - low
    consumer.assign(places)
    while left:
        batch = consumer.consume(min(left, 10_000), 1.0)
        left -= len(batch)
        yield from batch
    consumer.close()


def main(way: str, bootstrap_servers: str) -> None:
    """Drain the topic in one of the ways; prints what came out."""
    read = messages(bootstrap_servers, SALES.name)
    if way == "raw":
        total: Any = sum(len(message.value()) for message in read)
    else:
        ways: dict[str, Callable[[Any, int], Any]] = {"checked": checked, "unchecked": unchecked}
        sums = averages(((message.value(), message.timestamp()[1]) for message in read), ways[way])
        total = sum(sales for sales, _ in sums.values())
    sys.stdout.write(f"{total}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
