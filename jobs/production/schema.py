"""Every name of the domain: topic, events, tables. What differs between plants is in conf/production.toml: plant.py."""

from jobs.production.events import LINE_EVENT, LineEvent
from jobs.production.plant import LINE, plant
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process, Server
from lakehouse.contract.tables import Table
from lakehouse.contract.topics import event_topic

MAX_AHEAD = "5 minutes"  # how far an event may lie after the record's own timestamp
EARLIEST = "2000-01-01"  # a time before this is an error of the controller's clock
HISTORY_INTERVAL = "10 seconds"
MOST_PER_BATCH = 100_000  # records; all of a batch goes through the driver

EVENTS = event_topic(
    "production",
    partitions=4,
    about="units at collection points and their defects, JSON; key is the kind of event, partition by hash of the unit",
)
EVENT_COLUMNS = {"kind": "STRING", **LINE_EVENT.columns}
HISTORY = standard_tables.history(
    "production",
    EVENT_COLUMNS,
    searched_by=("unit_id", "event_at"),
    about="every valid event with its Kafka coordinates, resends too; kind is pass or defect",
)
DEAD_LETTERS = standard_tables.dead_letters(
    "production", about="every record that is no valid event: its bytes as they came, and the reason"
)
COUNTS = {
    "units": "BIGINT",
    "defects_found": "BIGINT",
    "defects_charged": "BIGINT",
    "defective_units": "BIGINT",
}
HOUR_COLUMNS = {"hour_start": "TIMESTAMP", "zone_id": "STRING", "day": "DATE", **COUNTS, "newest_at": "TIMESTAMP"}
CONCERN_COLUMNS = {
    "hour_start": "TIMESTAMP",
    "zone_id": "STRING",
    "concern_id": "STRING",
    "day": "DATE",
    "defects": "BIGINT",
}
TOTAL_COLUMNS = {
    "day": "DATE",
    "zone_id": "STRING",
    **COUNTS,
    "throughput": "DECIMAL(6,3)",
    "newest_at": "TIMESTAMP",
}


def _by_day(name: str, columns: dict[str, str], keys: tuple[str, ...], about: str) -> Table:
    """A table of the speed layer; the one in PostgreSQL has the same name, columns and key.

    Rows are never deleted: a cell whose units have all moved elsewhere shows zeros.
    """
    return standard_tables.speed_table("production", name, columns, keys, about, partition_by=("day",))


TOTALS = _by_day("totals", TOTAL_COLUMNS, ("day", "zone_id"), "units, defects and throughput per production day")
HOURS = _by_day("hours", HOUR_COLUMNS, ("hour_start", "zone_id"), "the same counts per hour")
CONCERNS = _by_day("concerns", CONCERN_COLUMNS, ("hour_start", "zone_id", "concern_id"), "defects per hour by concern")
SERVING = (HOURS, CONCERNS, TOTALS)
BATCHES = standard_tables.batch_log("production", "totals")
TOTALS_BATCH = standard_tables.batch_table(
    "production",
    "totals_batch",
    TOTAL_COLUMNS,
    keys=("day", "zone_id"),
    about="batch layer: the same totals over the whole history",
)
PARITY = standard_tables.parity(
    "production",
    {
        "day": "DATE",
        "zone_id": "STRING",
        "delta_units": "BIGINT",
        "postgres_units": "BIGINT",
        "batch_units": "BIGINT",
    },
    keys=("day", "zone_id"),
    about="totals in Delta and in PostgreSQL against the recomputed ones: equal, or what differs",
)

# Only in PostgreSQL: each pass and each defect once, and what follows from them for a unit in a zone.
PASSES = Table(
    "production",
    "passes",
    {"unit_id": "STRING", "zone_id": "STRING", "first_at": "TIMESTAMP", "last_at": "TIMESTAMP"},
    keys=("unit_id", "zone_id"),
    about="first and last time at which a unit passed a zone",
    properties={},
)
DEFECTS = Table(
    "production",
    "defects",
    {name: EVENT_COLUMNS[name] for name in EVENT_COLUMNS if name != "kind"},
    keys=("unit_id", "zone_id", "concern_id", "zone_charged_id", "collection_point_id", "event_at"),
    about="each defect once, however often it was sent",
    properties={},
)
FACTS = Table(
    "production",
    "unit_facts",
    {"unit_id": "STRING", "zone_id": "STRING", "counted_at": "TIMESTAMP", "found": "INT", "charged": "INT"},
    keys=("unit_id", "zone_id"),
    about="a unit in a zone: when it counts (null until it has passed) and its defects found there and charged to it",
    properties={},
)
MEANINGS = {
    "unit_id": "the unit: qls_unit_id of its events",
    "zone_id": f"a zone; '{LINE}' is the whole line",
    "day": "production day",  # and when it begins: totals.py
    "hour_start": "the hour of a unit's first pass of the zone; for the line, of its last point so far",
    "units": "units, each once per zone and day however often it passed or was sent",
    "defects_found": "defects found in the zone, of the units that count here",
    "defects_charged": "defects charged to the zone, of the units that count here",
    "defective_units": "units with at least one defect found in the zone; for the line, anywhere",
    "throughput": "units without a defect / units, in percent; null without units",
    "newest_at": "newest pass among those that count here",
    "concern_id": "what is wrong",
    "zone_charged_id": "the zone that caused the defect",
    "defects": "defects of that concern, of the units that count here",
    "first_at": "first pass of the zone",
    "last_at": "last pass of the zone",
    "counted_at": "first pass of the zone; for the line, the last point so far",
    "found": "defects found in the zone",
    "charged": "defects charged to the zone",
    "generation": "checkpoint of the query that wrote the row",
    "batch_id": "batch that last changed the row",
    "updated_at": "when it did",
}


def _check() -> None:
    """Raises UsageError when conf/production.toml describes no plant."""
    plant()


DOMAIN = Domain(
    name="production",
    title="Production line",
    topics=(EVENTS,),
    tables=(HISTORY, DEAD_LETTERS, HOURS, CONCERNS, TOTALS, BATCHES, TOTALS_BATCH, PARITY),
    query_tables={
        "totals": QueryTables((EVENTS,), state_tables=(*SERVING, BATCHES)),
        "history": QueryTables((EVENTS,), record_tables=(HISTORY, DEAD_LETTERS)),
    },
    events=(LineEvent,),
    dead_letters=DEAD_LETTERS,
    services=(Server.KAFKA, Server.POSTGRES),
    processes=(Process("stream", Job("stream.py"), queries=("totals", "history")),),
    produce=Job("produce.py", "--rate", "20"),
    recompute=Job("recompute.py"),
    check=_check,
)
