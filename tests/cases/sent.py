"""The messages of a case as Kafka records stamped a second past noon, and which of them both decoders take."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lakehouse.contract.tables import Table
from lakehouse.events import rules
from lakehouse.kafka.reader import Record
from lakehouse.spark.session import collect

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MILLIS = round(NOON.timestamp() * 1000)
TOKENS = {
    "@RUN@": "8549320",
    "@Z@": "2026-11-22T12:00:00.000Z",
    "@MS_FLOAT@": f"{MILLIS}.25",
    "@MS_POINT0@": f"{MILLIS}.0",
    "@COLON@": "2026-11-22T12:00:00.000+00:00",
    "@OFF0000@": "2026-11-22T12:00:00.000+0000",
    "@OFF00@": "2026-11-22T12:00:00.000+00",
    "@SPACE@": "2026-11-22 12:00:00",
    "@LOWER@": "2026-11-22t12:00:00.000z",
    "@COMMA@": "2026-11-22T12:00:00,000Z",
    "@BASIC@": "20261122T120000Z",
    "@NAIVE@": "2026-11-22T12:00:00.000",
    "@PGTEXT@": "2026-11-22 12:00:00.000+00",
    "@MS@": str(MILLIS),
    "@S@": str(MILLIS // 1000),
    "@S_FLOAT@": f"{MILLIS // 1000}.25",
    "@US@": str(MILLIS * 1000),
    "@NS@": str(MILLIS * 1_000_000),
    "@DAY@": "2026-11-22",
    "@H-7@": "2026-11-22T05:00:00",
    "@H+9@": "2026-11-22T21:00:00",
}
COLUMNS = "topic string, partition int, offset bigint, timestamp timestamp, key binary, value binary"


def messages(file: str) -> list[tuple[bytes | None, bytes | None]]:
    """Key and value of each line."""
    lines = (Path(__file__).parent / file).read_text("utf-8").splitlines()
    return [(_data(line["key"]), _data(line["value"])) for line in map(json.loads, lines)]


def _data(text: str | None) -> bytes | None:
    for token, value in TOKENS.items():
        text = text and text.replace(token, value)
    return None if text is None else text.encode()


def verdicts(spark: Any, read: Any, history: Table, audit: Any, given: list[tuple[bytes | None, Any]]) -> list[Any]:
    """By the offset in the list: the row of the history as a dict, or the reason. Fails where the audit parts with it.

    `read` makes a row of each record, `audit` is the domain's module for `lake audit`.
    """
    at = NOON + timedelta(seconds=1)
    rows = [
        ("t", 0, n, at, key and bytearray(key), None if value is None else bytearray(value))
        for n, (key, value) in enumerate(given)
    ]
    parsed = read(spark.createDataFrame(rows, COLUMNS).coalesce(2)).cache()
    found = {row["offset"]: row for row in collect(rules.valid_events(parsed, history))}
    why = {row["offset"]: row["reason"] for row in collect(rules.dead_letters(parsed))}
    parsed.unpersist()
    assert found.keys() | why.keys() == set(range(len(given)))
    assert not found.keys() & why.keys()
    decoded = audit.decode(("t", 0), [Record(n, MILLIS + 1000, key, value) for n, (key, value) in enumerate(given)])
    unlike = set(decoded.rows["offset"].to_pylist()) ^ found.keys()
    assert not unlike, [(given[n][1], why.get(n), decoded.refused.get(n)) for n in sorted(unlike)]
    return [found.get(n) or why[n] for n in range(len(given))]
