"""What the stores of the production line must hold, counted in plain Python without the pipeline's code."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from jobs.production.plant import plant
from jobs.production.schema import TOTALS
from tests.e2e.running import Platform, rows_of
from tests.jobs.production.line import Event, count, counted

HOMES = {point: zone for zone, points in plant().zones.items() for point in points}
KEYS = {b"unit_collection_point": (), b"unit_defect": ("concern_id", "zone_charged_id")}


def number(message: Any) -> int | None:
    """The number of an event that the audit sent: a field that the domain does not know."""
    try:
        return json.loads(message.value()).get("number")  # type: ignore[no-any-return]
    except (ValueError, TypeError, AttributeError):
        return None


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
        named = [event["qls_unit_id"], event["collection_point_id"], *(event[name] for name in more or ())]
    except (ValueError, KeyError, TypeError):
        return None
    sent = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    if more is None or None in named or not set(zones) <= set(plant().zones) or at > sent + timedelta(minutes=5):
        return None
    return event if more else {name: event[name] for name in event if name not in KEYS[b"unit_defect"]}


def in_postgres(line: Platform, table: str = "totals") -> list[dict[str, Any]]:
    """Rows of a table as any client sees them; none before the table is made."""
    with psycopg.connect(line.env["LAKE_POSTGRES_DSN"], row_factory=dict_row) as connection:
        if not connection.execute("SELECT to_regclass(%s) AS it", [f"production.{table}"]).fetchone()["it"]:  # type: ignore[index]
            return []
        return connection.execute(f"SELECT * FROM production.{table}").fetchall()


def both(line: Platform) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The totals in PostgreSQL and in Delta, in one order."""
    stored, delta = (
        [{name: row[name] for name in TOTALS.columns} for row in sorted(rows, key=_place)]
        for rows in (in_postgres(line), rows_of(line, "totals"))
    )
    return stored, delta


def _place(row: dict[str, Any]) -> tuple[Any, Any]:
    return row["day"], row["zone_id"]


def wrong(line: Platform, sent: list[Any]) -> list[str]:
    """What is wrong with the totals: in both stores they are the same, and a plain count of the records."""
    stored, delta = both(line)
    found = [] if stored == delta else ["totals differ between PostgreSQL and Delta"]
    expected = count(event for event in map(decode, sent) if event)
    found += [] if counted(stored) == expected else ["totals in PostgreSQL are not a plain count of the topic"]
    if len(stored) != len({_place(row) for row in stored}):
        found.append("a zone is twice in a day")
    return found
