"""What the production line's stores must hold, counted in plain Python from the topic without the pipeline's code."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from confluent_kafka import KafkaException
from psycopg.rows import dict_row

from jobs.production.plant import plant
from jobs.production.schema import EVENTS, TOTALS
from tests.e2e.running import Platform, read_topic, rows_of
from tests.jobs.production.line import Event, count, counted

HOMES = {point: zone for zone, points in plant().zones.items() for point in points}
KEYS = {b"unit_collection_point": (), b"unit_defect": ("concern_id", "zone_charged_id")}


def decode(message: Any) -> Event | None:
    """The event in a record, or None."""
    more = KEYS.get(message.key().strip(b'"'))
    try:
        event = json.loads(message.value())
        if more:
            event.setdefault("zone_id", HOMES.get(event["collection_point_id"]))
        at = datetime.fromisoformat(event["unit_collection_pt_timestamp"])
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        zones = [event["zone_id"], *([event["zone_charged_id"]] if more else [])]
        told = [event["qls_unit_id"], event["collection_point_id"], *(event[name] for name in more or ())]
    except (ValueError, KeyError, TypeError):
        return None
    sent = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    if more is None or None in told or not set(zones) <= set(plant().zones) or at > sent + timedelta(minutes=5):
        return None
    return event if more else {name: event[name] for name in event if name not in KEYS[b"unit_defect"]}


def in_postgres(line: Platform, table: str = "totals") -> list[dict[str, Any]]:
    """Rows of a table as any client sees them; none before the table is made."""
    with psycopg.connect(line.env["LAKE_POSTGRES_DSN"], row_factory=dict_row) as connection:
        if not connection.execute("SELECT to_regclass(%s) AS it", [f"production.{table}"]).fetchone()["it"]:  # type: ignore[index]
            return []
        return connection.execute(f"SELECT * FROM production.{table}").fetchall()  # type: ignore[call-overload]


def both(line: Platform) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The totals in PostgreSQL and in Delta, in one order."""
    stored, delta = (
        [{name: row[name] for name in TOTALS.columns} for row in sorted(rows, key=_place)]
        for rows in (in_postgres(line), rows_of(line, "totals"))
    )
    return stored, delta


def _place(row: dict[str, Any]) -> tuple[Any, Any]:
    return row["day"], row["zone_id"]


def wrong(line: Platform) -> list[str]:
    """Everything that is wrong once the stream has read all there is, a sentence each; empty when nothing is."""
    try:
        messages = read_topic(line.bootstrap_servers, EVENTS.name, EVENTS.partitions, {"log_level": 0})
        stored, delta = both(line)
    except (KafkaException, psycopg.OperationalError) as error:
        return [f"broker or PostgreSQL do not answer: {error}"]
    expected = count(event for event in map(decode, messages) if event)
    found = [] if stored == delta else ["totals differ between PostgreSQL and Delta"]
    found += [] if counted(stored) == expected else ["totals in PostgreSQL are not a plain count of the topic"]
    if len(stored) != len({_place(row) for row in stored}):
        found.append("a zone is twice in a day")
    kept = [(row["partition"], row["offset"]) for row in (*rows_of(line, "history"), *rows_of(line, "dead_letters"))]
    sent = Counter((message.partition(), message.offset()) for message in messages)
    doubled, missing = Counter(kept) - sent, sent - Counter(kept)
    found += [f"{doubled.total()} records are stored twice"] if doubled else []
    return [*found, *([f"{missing.total()} records are not stored"] if missing else [])]
