"""Every name of the domain: topic, events, tables. What differs between plants is in conf/production.toml: plant.py."""

from lakehouse.contract.domain import Domain, Stores
from lakehouse.contract.tables import HISTORY_PROPERTIES, SERVING_PROPERTIES, Table
from lakehouse.contract.topics import Topic

LINE = "line"  # stands in the place of a zone for the whole line
TIME = "unit_collection_pt_timestamp"
MAX_AHEAD = "5 minutes"  # how far an event may lie after the record's own timestamp
EARLIEST = "2000-01-01"  # a time before this is an error of the controller's clock
HISTORY_PACE = "10 seconds"
MOST_PER_BATCH = 100_000  # records; all of a batch goes through the driver

EVENTS = Topic(
    "production",
    partitions=4,
    about="units at collection points and their defects, JSON; key is the kind of event, partition by hash of the unit",
    # Stored as they are, batches are held to the limit by what they unpack to; else kilobytes could fill Spark's heap.
    config=(
        ("max.message.bytes", "4194304"),
        ("compression.type", "uncompressed"),
        ("message.timestamp.after.max.ms", "300000"),
        ("message.timestamp.before.max.ms", "86400000"),
    ),
)
COORDINATES = {"topic": "STRING", "partition": "INT", "offset": "BIGINT", "recorded_at": "TIMESTAMP"}
EVENT_COLUMNS = {
    "kind": "STRING",
    "unit_id": "STRING",
    "collection_point_id": "STRING",
    "zone_id": "STRING",
    "concern_id": "STRING",
    "zone_charged_id": "STRING",
    "event_at": "TIMESTAMP",
}
HISTORY = Table(
    "production",
    "history",
    {**EVENT_COLUMNS, **COORDINATES},
    keys=("topic", "partition", "offset"),
    about="every valid event with its Kafka coordinates, resends too; kind is pass or defect",
    properties={
        **HISTORY_PROPERTIES,
        "delta.dataSkippingStatsColumns": "unit_id,event_at,recorded_at,partition,offset",
    },
)
DEAD_LETTERS = Table(
    "production",
    "dead_letters",
    {**COORDINATES, "reason": "STRING", "key": "BINARY", "value": "BINARY"},
    keys=("topic", "partition", "offset"),
    about="every record that is no valid event: its bytes as they came, and the reason",
    properties=HISTORY_PROPERTIES,
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
# The batch that last changed the row. Rows never go away: a cell whose units have all moved elsewhere shows zeros.
ORIGIN = {"generation": "STRING", "batch_id": "BIGINT", "updated_at": "TIMESTAMP"}


def _serving(name: str, columns: dict[str, str], keys: tuple[str, ...], about: str) -> Table:
    """A table of the speed layer; the one in PostgreSQL has the same name, columns and key."""
    cut = ("day",)  # a batch writes again only the days that it touches
    columns = {**columns, **ORIGIN}
    return Table("production", name, columns, keys, about, SERVING_PROPERTIES, partition_by=cut, writer="deltalake")


TOTALS = _serving("totals", TOTAL_COLUMNS, ("day", "zone_id"), "units, defects and throughput per production day")
HOURS = _serving("hours", HOUR_COLUMNS, ("hour_start", "zone_id"), "the same counts per hour")
CONCERNS = _serving("concerns", CONCERN_COLUMNS, ("hour_start", "zone_id", "concern_id"), "defects per hour by concern")
SERVING = (HOURS, CONCERNS, TOTALS)
BATCHES = Table(
    "production",
    "totals_batches",
    {
        "generation": "STRING",
        "batch_id": "BIGINT",
        "topic": "STRING",
        "partition": "INT",
        "start_offset": "BIGINT",
        "end_offset": "BIGINT",
        "watermark": "TIMESTAMP",
        "committed_at": "TIMESTAMP",
    },
    keys=("generation", "batch_id", "topic", "partition"),
    about="batch log of the totals query: offsets read (end exclusive)",
    properties=SERVING_PROPERTIES,
    writer="deltalake",
)
TOTALS_BATCH = Table(
    "production",
    "totals_batch",
    {
        **TOTAL_COLUMNS,
        "covered_generation": "STRING",
        "covered_batch_id": "BIGINT",
        "history_version": "BIGINT",
        "recomputed_at": "TIMESTAMP",
    },
    keys=("day", "zone_id"),
    about="batch layer: the same totals over the whole history",
    properties=HISTORY_PROPERTIES,
)
PARITY = Table(
    "production",
    "parity",
    {
        "day": "DATE",
        "zone_id": "STRING",
        "delta_units": "BIGINT",
        "postgres_units": "BIGINT",
        "batch_units": "BIGINT",
        "cause": "STRING",
        "recomputed_at": "TIMESTAMP",
    },
    keys=("day", "zone_id"),
    about="totals in Delta and in PostgreSQL against the recomputed ones: equal, or what differs",
    properties=HISTORY_PROPERTIES,
)

# What PostgreSQL alone holds: each pass and each defect once, and what they make of a unit in a zone.
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
    from jobs.production.plant import plant

    plant()


DOMAIN = Domain(
    name="production",
    title="Production line",
    topics=(EVENTS,),
    tables=(HISTORY, DEAD_LETTERS, HOURS, CONCERNS, TOTALS, BATCHES, TOTALS_BATCH, PARITY),
    stores={
        "totals": Stores(EVENTS, views=(*SERVING, BATCHES)),
        "history": Stores(EVENTS, records=(HISTORY, DEAD_LETTERS)),
    },
    dead_letters=DEAD_LETTERS,
    produce=("jobs/production/produce.py", "--rate", "20"),
    postgres=True,
    check=_check,
)
