"""Every name of the domain: topics, fields and their bounds, Delta tables, window and lateness."""

from dataclasses import dataclass

from lakehouse.contract.domain import Domain, Stores
from lakehouse.contract.tables import HISTORY_PROPERTIES, SERVING_PROPERTIES, Table
from lakehouse.contract.topics import Topic

WINDOW = "2 minutes"
LATENESS = "30 seconds"
# A write to the history costs the same for 200 sales as for 2,000, and takes a core meanwhile. On 2 slow cores at
# 200 sales/s a batch of averages takes 0.6 s alone, and 1.1 s while the history writes without a pause.
# The live feed is read from it, though, and this is most of the time until a sale is on the screen.
HISTORY_PACE = "6 seconds"
MAX_AHEAD = "5 minutes"  # how far sold_at may lie after the record's own timestamp
EARLIEST = "2000-01-01"  # an event time before this is an error of the sender's clock
# Any time outside would, once in the history, make all of it unreadable to readers that count in nanoseconds.
READABLE = ("1900-01-01", "2200-01-01")
MAX_VALUE_BYTES = 256 * 1024

SALES = Topic(
    "houses",
    partitions=4,
    about="one sale per message, JSON, keyed by house id",
    # A record stamped long ago is refused, too: retention goes by that stamp and would delete it, perhaps unread.
    # Stored as they are, batches are held to the limit by what they unpack to; else kilobytes could fill Spark's heap.
    config=(
        ("max.message.bytes", "4194304"),
        ("compression.type", "uncompressed"),
        ("message.timestamp.after.max.ms", "300000"),
        ("message.timestamp.before.max.ms", "86400000"),
    ),
)
AVERAGE_UPDATES = Topic(
    "AVG_PRICE_PER_YEAR",
    partitions=1,
    about="each updated window as the KSQL table publishes it: absolute values",
    config=(("cleanup.policy", "compact,delete"),),
)


@dataclass(frozen=True)
class Field:
    """A field of the sale event: its SQL type in the history, whether it must be there, and its bounds (inclusive)."""

    name: str
    kind: str
    required: bool = False
    low: float | None = None
    high: float | None = None


PRICE = "DECIMAL(12,2)"
FIELDS = (
    Field("id", "STRING", required=True),
    Field("price", PRICE, required=True, low=0.01, high=100_000_000),
    Field("bedrooms", "INT", required=True, low=0, high=100),
    Field("bathrooms", "DOUBLE", required=True, low=0, high=100),
    Field("sqft_living", "INT", required=True, low=1, high=1_000_000),
    Field("sqft_lot", "INT", required=True, low=0, high=1_000_000_000),
    Field("floors", "DOUBLE", required=True, low=0, high=200),
    Field("waterfront", "INT", required=True, low=0, high=1),
    Field("view", "INT", required=True, low=0, high=4),
    Field("yr_built", "INT", required=True, low=1800, high=2100),
    Field("condition", "INT", low=1, high=5),
    Field("grade", "INT", low=1, high=13),
    Field("sqft_above", "INT", low=0, high=1_000_000),
    Field("sqft_basement", "INT", low=0, high=1_000_000),
    Field("yr_renovated", "INT", low=0, high=2100),
    Field("zipcode", "INT", low=0, high=99999),
    Field("lat", "DOUBLE", low=-90, high=90),
    Field("long", "DOUBLE", low=-180, high=180),
    Field("sqft_living15", "INT", low=0, high=1_000_000),
    Field("sqft_lot15", "INT", low=0, high=1_000_000_000),
    Field("listed_at", "TIMESTAMP"),
    Field("sold_at", "TIMESTAMP"),
    Field("event_id", "STRING"),
)
FIELD_TYPES = {field.name: field.kind for field in FIELDS}
COORDINATES = {"topic": "STRING", "partition": "INT", "offset": "BIGINT", "recorded_at": "TIMESTAMP"}

HISTORY = Table(
    "houses",
    "history",
    # event_at is sold_at, or recorded_at where there is none; the initial history, never on the stream, has neither.
    {**FIELD_TYPES, "event_at": "TIMESTAMP", "source": "STRING", **COORDINATES},
    keys=("topic", "partition", "offset"),
    about="every valid sale with its Kafka coordinates, resends too; source is 'initial' or 'stream'",
    # Statistics on what is searched by only: on all 29 columns they cost each small write more than the rows do.
    properties={**HISTORY_PROPERTIES, "delta.dataSkippingStatsColumns": "id,event_at,recorded_at,partition,offset"},
)
DEAD_LETTERS = Table(
    "houses",
    "dead_letters",
    {**COORDINATES, "reason": "STRING", "key": "BINARY", "value": "BINARY"},
    keys=("topic", "partition", "offset"),
    about="every event that is no valid sale: its bytes as they came, and the reason",
    properties=HISTORY_PROPERTIES,
)
AVERAGE_COLUMNS = {
    "window_start": "TIMESTAMP",
    "window_end": "TIMESTAMP",
    "decade": "INT",
    "avg_price": "DOUBLE",
    "sales": "BIGINT",
    "sum_cents": "BIGINT",
}
AVERAGES = Table(
    "houses",
    "averages",
    # batch_id is the batch that last changed the values; is_final turns true when the watermark has passed window_end.
    {**AVERAGE_COLUMNS, "is_final": "BOOLEAN", "generation": "STRING", "batch_id": "BIGINT", "updated_at": "TIMESTAMP"},
    keys=("window_start", "decade"),
    about="speed layer: average price and sales per window and decade built, provisional or final",
    properties=SERVING_PROPERTIES,
    writer="deltalake",
    partition_by=("is_final",),  # or each batch would write all closed windows again
)
AVERAGES_BATCHES = Table(
    "houses",
    "averages_batches",
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
    about="batch log of the averages query: offsets read (end exclusive) and watermark; it tells which sale was late",
    properties=SERVING_PROPERTIES,
    writer="deltalake",
)
AVERAGES_BATCH = Table(
    "houses",
    "averages_batch",
    # covered_*: the newest averages batch whose sales this row has all seen; a speed row changed later is served.
    {
        **AVERAGE_COLUMNS,
        "covered_generation": "STRING",
        "covered_batch_id": "BIGINT",
        "history_version": "BIGINT",
        "recomputed_at": "TIMESTAMP",
    },
    keys=("window_start", "decade"),
    about="batch layer: the same averages over the distinct sales of the whole history",
    properties=HISTORY_PROPERTIES,
)
PARITY = Table(
    "houses",
    "parity",
    {
        "window_start": "TIMESTAMP",
        "window_end": "TIMESTAMP",
        "decade": "INT",
        "speed_sales": "BIGINT",
        "batch_sales": "BIGINT",
        "speed_avg_price": "DOUBLE",
        "batch_avg_price": "DOUBLE",
        "difference": "DOUBLE",
        "late": "BIGINT",
        "resent": "BIGINT",
        "cause": "STRING",
        "recomputed_at": "TIMESTAMP",
    },
    keys=("window_start", "decade"),
    about="speed row against batch row per window and decade: difference in dollars and its cause",
    properties=HISTORY_PROPERTIES,
)

PRICES = Table(
    "houses",
    "prices",
    {
        "model_version": "STRING",
        "id": "STRING",
        "price": "DOUBLE",
        "low": "DOUBLE",
        "high": "DOUBLE",
        "predicted_at": "TIMESTAMP",
    },
    keys=("model_version", "id"),
    about="price and 80 % interval of every house for sale, by each published model version",
    properties=HISTORY_PROPERTIES,
    writer="deltalake",
)

DOMAIN = Domain(
    name="houses",
    title="House sales",
    topics=(SALES, AVERAGE_UPDATES),
    tables=(HISTORY, DEAD_LETTERS, AVERAGES, AVERAGES_BATCHES, AVERAGES_BATCH, PARITY, PRICES),
    stores={
        "averages": Stores(SALES, views=(AVERAGES, AVERAGES_BATCHES)),
        "history": Stores(SALES, records=(HISTORY, DEAD_LETTERS)),
    },
    dead_letters=DEAD_LETTERS,
    prepare=(("jobs/houses/build_datasets.py", "--load", "--keep"),),
    prepare_empty=(("jobs/houses/build_datasets.py", "--empty", "--load", "--keep"),),
    produce=("jobs/houses/produce.py", "--rate", "20"),
    later=(("jobs/houses/train.py", "--if-none"),),
)
