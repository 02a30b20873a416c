"""Every name of the domain: topics, Delta tables, window and lateness. What a sale is: events.py."""

from jobs.houses.events import SALE, Sale
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.models import Better, LiveCheck, Metric, Model
from lakehouse.contract.runs import Job, Process
from lakehouse.contract.tables import HISTORY_PROPERTIES, Table
from lakehouse.contract.topics import Topic, event_topic

WINDOW = "2 minutes"
LATENESS = "30 seconds"
# A write to the history costs the same for 200 sales as for 2,000, and takes a core meanwhile. On 2 slow cores at
# 200 sales/s a batch of averages takes 0.6 s alone, and 1.1 s while the history writes without a pause.
HISTORY_INTERVAL = "6 seconds"
MAX_AHEAD = "5 minutes"  # how far sold_at may lie after the record's own timestamp
EARLIEST = "2000-01-01"  # an event time before this is an error of the sender's clock
FEWEST_SALES = 300  # different ones that a price model needs

SALES = event_topic("houses", partitions=4, about="one sale per message, JSON, keyed by house id")
AVERAGE_UPDATES = Topic(
    "AVG_PRICE_PER_YEAR",
    partitions=1,
    about="each updated window as the KSQL table publishes it: absolute values",
    config=(("cleanup.policy", "compact,delete"),),
)


FIELDS = tuple(SALE.fields.values())

HISTORY = standard_tables.history(
    "houses",
    # event_at is sold_at, or recorded_at where there is none; the initial history, never on the stream, has neither.
    {**SALE.columns, "event_at": "TIMESTAMP", "source": "STRING"},
    searched_by=("id", "event_at"),
    about="every valid sale with its Kafka coordinates, resends too; source is 'initial' or 'stream'",
)
DEAD_LETTERS = standard_tables.dead_letters(
    "houses", about="every event that is no valid sale: its bytes as they came, and the reason"
)
AVERAGE_KEY = ("window_start", "decade")
AVERAGE_COLUMNS = {
    "window_start": "TIMESTAMP",
    "window_end": "TIMESTAMP",
    "decade": "INT",
    "avg_price": "DOUBLE",
    "sales": "BIGINT",
    "sum_cents": "BIGINT",
}
AVERAGES = standard_tables.speed_table(
    "houses",
    "averages",
    {**AVERAGE_COLUMNS, "is_final": "BOOLEAN"},  # final when the watermark has passed window_end
    AVERAGE_KEY,
    about="speed layer: average price and sales per window and decade built, provisional or final",
    partition_by=("is_final",),  # or each batch would write all closed windows again
)
AVERAGES_BATCHES = standard_tables.batch_log("houses", "averages", note=" and watermark; it tells which sale was late")
AVERAGES_BATCH = standard_tables.batch_table(
    "houses",
    "averages_batch",
    AVERAGE_COLUMNS,
    AVERAGE_KEY,
    about="batch layer: the same averages over the distinct sales of the whole history",
)
PARITY = standard_tables.parity(
    "houses",
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
    },
    AVERAGE_KEY,
    about="speed row against batch row per window and decade: difference in dollars and its cause",
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

PRICE_MODEL = Model(
    domain="houses",
    name="price",
    title="House prices",
    metrics=(
        Metric("mape", "MAPE", ".1%", "on houses never seen"),
        Metric("r2", "R²", ".3f", "1 would be perfect"),
        Metric("coverage", "Coverage", ".1%"),
        Metric("median_ape", "Median error", ".1%", shown=False),
        Metric("rmse", "RMSE", ",.0f", shown=False),
    ),
    headline="mape",
    better=Better.LOWER,
    tolerance=0.02,
    rows="sales",
    entities="houses",
    train="jobs/houses/train.py",
    needs=f"{FEWEST_SALES} different sales",
    live=LiveCheck(
        PRICES,
        "price",
        HISTORY,
        "price",
        "event_at",
        lambda predicted, paid: abs(predicted / paid - 1),
        only=("source", "stream"),
        unit="house",
        event="sold",
        about="Houses priced while for sale and sold since on the stream: the price that was predicted against the one "
        "paid.",
        empty="No house that was priced while it was for sale has been sold yet. Sell some: "
        "`./spark-submit.sh jobs/houses/produce.py --from for-sale`",
    ),
    was_alone=True,
)

DOMAIN = Domain(
    name="houses",
    title="House sales",
    topics=(SALES, AVERAGE_UPDATES),
    tables=(HISTORY, DEAD_LETTERS, AVERAGES, AVERAGES_BATCHES, AVERAGES_BATCH, PARITY, PRICES),
    query_tables={
        "averages": QueryTables((SALES,), state_tables=(AVERAGES, AVERAGES_BATCHES), written_topics=(AVERAGE_UPDATES,)),
        "history": QueryTables((SALES,), record_tables=(HISTORY, DEAD_LETTERS)),
    },
    dead_letters=DEAD_LETTERS,
    processes=(Process("stream", Job("stream.py"), queries=("averages", "history")),),
    events=(Sale,),
    models=(PRICE_MODEL,),
    prepare=(Job("build_datasets.py", "--load", "--keep"),),
    prepare_empty=(Job("build_datasets.py", "--empty", "--load", "--keep"),),
    produce=Job("produce.py", "--rate", "20"),
    later=(Job("train.py", "--if-none"),),
    recompute=Job("recompute.py"),
    nightly=(Job("train.py"),),
    short_run=(Job("build_datasets.py", "--load", "--keep"), Job("produce.py", "--rate", "0", "--count", "1000")),
)
