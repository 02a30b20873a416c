"""Thousands of spoilt messages among good ones, through the real broker and stream, compared with the oracle.

`python -m tests.audit.poison --seed 7 --messages 5000` runs it at full size; the same seed sends the same messages.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from jobs.houses.schema import DOMAIN, SALES
from lakehouse.kafka import topics
from tests import suite
from tests.audit.mutations import Record, mutate
from tests.e2e.running import Platform, read_topic, rows_of
from tests.ending import end_in_order
from tests.jobs.houses import oracle
from tests.jobs.houses.sales import event, plain
from tests.sites import site

GOOD_PER_BAD = 4
Place = tuple[int, int]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def records(seed: int, messages: int) -> Iterator[Record]:
    """`messages` spoilt ones among four times as many good ones, in an order drawn from the seed."""
    dice = random.Random(seed)
    kinds = [True] * messages + [False] * (GOOD_PER_BAD * messages)
    dice.shuffle(kinds)
    now = datetime.now(UTC)
    for number, spoilt in enumerate(kinds):
        sale = good(dice, number, now)
        yield mutate(dice, sale) if spoilt else Record(json.dumps(sale).encode())


def good(dice: random.Random, number: int, now: datetime) -> dict[str, Any]:
    """A good sale of the last ten minutes, in one of the forms that senders use."""
    facts = {
        "id": str(dice.randrange(10**9)),
        "price": dice.choice([dice.randrange(1, 10**8), dice.randrange(1, 10**9) / 100]),
        "yr_built": dice.randrange(1900, 2016),
        "waterfront": dice.choice([0, 1, True, False, "1", 0.0]),
    }
    if dice.random() < 0.1:
        return plain(**facts)
    at = now - timedelta(milliseconds=dice.randrange(600_000))
    sold_at = dice.choice([at.isoformat(), at.isoformat().replace("+00:00", "Z"), round(at.timestamp() * 1000)])
    return event(**facts, sold_at=sold_at, event_id=f"e-{number}")


def send(bootstrap_servers: str, seed: int, sent: Iterator[Record]) -> int:
    """Send the records, each to a partition drawn from the seed; how many the broker took: all but the misdated."""
    dice, taken = random.Random(seed), Counter[bool]()
    options = {"bootstrap.servers": bootstrap_servers, "acks": "all", "message.max.bytes": 5_000_000, "log_level": 0}
    producer = Producer(options)

    def reported(stamp: int | None, error: Any, _message: Any) -> None:
        assert (error is None) == (stamp is None), f"timestamp {stamp}: {error or 'taken'}"
        taken[error is None] += 1

    for record in sent:
        stamped = {} if record.timestamp is None else {"timestamp": record.timestamp}
        place, report = dice.randrange(SALES.partitions), partial(reported, record.timestamp)
        if stamped:
            producer.flush(60)  # the broker refuses a batch as a whole
        while len(producer) > 5000:
            producer.poll(0.1)
        producer.produce(SALES.name, record.value, record.key, place, on_delivery=report, **stamped)
        if stamped:
            producer.flush(60)
        producer.poll(0)
    assert producer.flush(60) == 0
    return taken[True]


def check(platform: Platform) -> Counter[str]:
    """Hold history, dead letters and averages to the oracle's reading of the whole topic; dead letters by reason."""
    sent = {
        (message.partition(), message.offset()): message
        for message in read_topic(platform.bootstrap_servers, SALES.name, SALES.partitions)
    }
    decoded = {place: oracle.decode(message.value(), message.timestamp()[1]) for place, message in sent.items()}
    expected = {place: sale for place, sale in decoded.items() if sale}
    history = by_place([row for row in rows_of(platform, "history") if row["source"] == "stream"])
    letters = by_place(rows_of(platform, "dead_letters"))
    explain(expected.keys() - history.keys(), "good, yet not in the history", sent, letters)
    explain(history.keys() - expected.keys(), "bad, yet in the history", sent, letters)
    assert letters.keys() == sent.keys() - expected.keys()
    for place, sale in expected.items():
        assert as_sale(history[place]) == sale, f"{place}: {sent[place].value()!r}"
    for place, row in letters.items():
        assert (row["key"], row["value"]) == (sent[place].key(), sent[place].value()), place
    kept = {
        (micros(row["window_start"]), row["decade"]): (row["avg_price"], row["sales"], row["sum_cents"])
        for row in rows_of(platform, "averages")
    }
    assert kept == oracle.averages(list(expected.values()))
    return Counter(row["reason"] for row in letters.values())


def by_place(rows: list[dict[str, Any]]) -> dict[Place, dict[str, Any]]:
    """Rows by (partition, offset), each place once."""
    found = {(row["partition"], row["offset"]): row for row in rows}
    assert len(found) == len(rows), "a record is there twice"
    return found


def explain(wrong: set[Place], what: str, sent: dict[Place, Any], letters: dict[Place, dict[str, Any]]) -> None:
    """Fail with the first of them."""
    lines = [
        f"{place} {letters.get(place, {}).get('reason')}: {(sent[place].value() or b'')[:700]!r}"
        for place in sorted(wrong)[:5]
    ]
    assert not wrong, "\n".join([f"{len(wrong)} records are {what}:", *lines])


def as_sale(row: dict[str, Any]) -> oracle.Sale:
    """A row of the history as the oracle would give it."""
    return oracle.Sale(row["id"], int(row["price"] * 100), row["yr_built"], micros(row["event_at"]), row["event_id"])


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def attack(platform: Platform, seed: int, messages: int) -> Counter[str]:
    """Send, run both queries until all is read, check; dead letters by reason."""
    began = time.monotonic()
    topics.ensure(platform.bootstrap_servers, DOMAIN.topics)
    send(platform.bootstrap_servers, seed, records(seed, messages))
    sent = time.monotonic()
    platform.run("stream.py", "--trigger", "available-now")
    read = time.monotonic()
    reasons = check(platform)
    spent = f"sent in {sent - began:.0f} s, read in {read - sent:.0f} s, checked in {time.monotonic() - read:.0f} s"
    sys.stdout.write(f"{spent}\n")
    return reasons


def run(seed: int, n: int) -> Counter[str]:
    """The attack on a platform of its own, gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="lake-poison-") as folder,
        site(Path(folder), suite.load("houses")) as place,
    ):
        return attack(place, seed, n)


def main() -> None:
    """Run at full size and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--messages", type=int, default=5000)
    options = parser.parse_args()
    began = time.monotonic()
    sys.stdout.write(f"Seed {options.seed}, {options.messages} spoilt messages.\n")
    reasons = run(options.seed, options.messages)
    for reason, count in reasons.most_common():
        sys.stdout.write(f"{count:7,}  {reason}\n")
    total = options.messages * (1 + GOOD_PER_BAD)
    seconds = time.monotonic() - began
    sys.stdout.write(f"{reasons.total():,} of {total:,} are dead letters, the others sales, after {seconds:.0f} s.\n")


if __name__ == "__main__":
    end_in_order()
    main()
