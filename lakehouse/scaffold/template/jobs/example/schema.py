"""Every name of the domain: topic, tables, window and lateness. What an event is: events.py."""

from jobs.example.events import EVENT, Event
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process
from lakehouse.contract.topics import event_topic

WINDOW = "1 minute"
LATENESS = "30 seconds"
HISTORY_INTERVAL = "6 seconds"
MAX_AHEAD = "5 minutes"  # how far happened_at may lie after the record's own timestamp
EARLIEST = "2000-01-01"  # an event time before this is an error of the sender's clock

EVENTS = event_topic("example", partitions=2, about="one event per message, JSON, keyed by id")
HISTORY = standard_tables.history(
    "example",
    {**EVENT.columns, "event_at": "TIMESTAMP"},  # event_at: happened_at, or the record's timestamp without it
    searched_by=("id", "event_at"),
    about="every valid event with its Kafka coordinates, duplicates too",
)
DEAD_LETTERS = standard_tables.dead_letters(
    "example", about="every record that is no valid event: its bytes as they came, and the reason"
)
TOTAL_KEY = ("window_start", "id")
TOTAL_COLUMNS = {
    "window_start": "TIMESTAMP",
    "window_end": "TIMESTAMP",
    "id": "STRING",
    "events": "BIGINT",
    "sum_quantity": "BIGINT",
    "avg_quantity": "DOUBLE",
}
TOTALS = standard_tables.speed_table(
    "example",
    "totals",
    {**TOTAL_COLUMNS, "is_final": "BOOLEAN"},  # final when the watermark has passed window_end
    TOTAL_KEY,
    about="speed layer: events and their quantity per window and id, provisional or final",
    partition_by=("is_final",),
)
TOTALS_BATCHES = standard_tables.batch_log("example", "totals", note=" and watermark")
TOTALS_BATCH = standard_tables.batch_table(
    "example",
    "totals_batch",
    TOTAL_COLUMNS,
    TOTAL_KEY,
    about="batch layer: the same totals over the distinct events of the whole history",
)
PARITY = standard_tables.parity(
    "example",
    {
        "window_start": "TIMESTAMP",
        "window_end": "TIMESTAMP",
        "id": "STRING",
        "speed_events": "BIGINT",
        "batch_events": "BIGINT",
        "speed_avg_quantity": "DOUBLE",
        "batch_avg_quantity": "DOUBLE",
        "difference": "DOUBLE",
        "late": "BIGINT",
        "resent": "BIGINT",
    },
    TOTAL_KEY,
    about="speed row against batch row per window and id: difference of the averages and its cause",
)

DOMAIN = Domain(
    name="example",
    title="Example",
    topics=(EVENTS,),
    tables=(HISTORY, DEAD_LETTERS, TOTALS, TOTALS_BATCHES, TOTALS_BATCH, PARITY),
    query_tables={
        "totals": QueryTables((EVENTS,), state_tables=(TOTALS, TOTALS_BATCHES)),
        "history": QueryTables((EVENTS,), record_tables=(HISTORY, DEAD_LETTERS)),
    },
    events=(Event,),
    dead_letters=DEAD_LETTERS,
    processes=(Process("stream", Job("stream.py"), queries=("totals", "history")),),
    produce=Job("produce.py", "--rate", "20"),
    recompute=Job("recompute.py"),
)
