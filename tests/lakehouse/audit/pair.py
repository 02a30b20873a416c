"""A small domain that reads topics whose partitions have the same numbers and begin elsewhere; as a job, one query.

Two queries in one process: history reads left and right, counts reads right and other, and keeps its state in RocksDB.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.audit.contract import Audit, Decoded
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process
from lakehouse.contract.tables import SERVING_PROPERTIES, Table
from lakehouse.contract.topics import Topic
from lakehouse.core import kill_points
from lakehouse.core.stop_signal import StopSignal
from lakehouse.events import rules
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.kafka.reader import Record
from lakehouse.settings import settings
from lakehouse.sinks.history import history_query
from lakehouse.spark.session import spark_session
from lakehouse.streaming.batch import Batch, offsets_log
from lakehouse.streaming.checkpoints import SHUFFLE_PARTITIONS, STATE_STORE
from lakehouse.streaming.query import NO_PAUSE, Query
from lakehouse.streaming.runner import Runner
from lakehouse.tables import table_io

PARTITIONS = 3
LEFT, RIGHT, OTHER = (Topic(name, PARTITIONS, "numbers") for name in ("left", "right", "other"))
HISTORY = standard_tables.history("pair", {"n": "BIGINT"}, ("n",), "numbers")
DEAD_LETTERS = standard_tables.dead_letters("pair", "what is no number")
COLUMNS = {"topic": "STRING", "remainder": "BIGINT", "numbers": "BIGINT"}
COUNTS = Table("pair", "counts", COLUMNS, ("topic", "remainder"), "counts", SERVING_PROPERTIES, writer="deltalake")
BATCHES = standard_tables.batch_log("pair", "counts")
DOMAIN = Domain(
    "pair",
    "Pair",
    (LEFT, RIGHT, OTHER),
    (HISTORY, DEAD_LETTERS, COUNTS, BATCHES),
    {
        "history": QueryTables((LEFT, RIGHT), record_tables=(HISTORY, DEAD_LETTERS)),
        "counts": QueryTables((RIGHT, OTHER), state_tables=(COUNTS, BATCHES)),
    },
    DEAD_LETTERS,
    processes=(Process("stream", Job("stream.py"), ("history", "counts")),),
)
ROCKS = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
CONF = {STATE_STORE: ROCKS, SHUFFLE_PARTITIONS: "3"}


def parse(records: DataFrame, _keep: Sequence[str] = ()) -> DataFrame:
    """The records with their number, and a reason for what is none."""
    coordinates = ["topic", "partition", "offset", F.col("timestamp").alias("recorded_at"), "key", "value"]
    number = F.col("value").cast("string").try_cast("bigint")
    return records.select(*coordinates, number.alias("n"), F.when(number.isNull(), "no number").alias("reason"))


def counted(records: DataFrame) -> DataFrame:
    """How many numbers of each topic have each remainder of a division by four."""
    numbers = rules.valid_events(parse(records), HISTORY).withColumn("remainder", F.pmod("n", F.lit(4)))
    return numbers.groupBy("topic", "remainder").agg(F.count("*").alias("numbers"))


def write(frame: DataFrame, batch: Batch) -> None:
    """The changed counts, then what the batch has read."""
    rows = table_io.rows(COUNTS, frame.toArrow().to_pylist())
    table_io.upsert(table_io.create(COUNTS), rows, COUNTS.keys, batch.app_id, batch.batch_id)
    kill_points.point("counts.upserted", batch.batch_id)
    read = table_io.rows(BATCHES, offsets_log(batch))
    table_io.append(table_io.create(BATCHES), read, batch.app_id, batch.batch_id)
    kill_points.point("counts.logged", batch.batch_id)


def queries(conf: Mapping[str, str] = CONF) -> list[Query]:
    """Both queries; `conf` is that of the counts."""
    history = history_query(DOMAIN, parse, NO_PAUSE)
    counts = Query("pair", "counts", counted, write, "update", DOMAIN.query_tables["counts"], conf=conf)
    return [history, counts]


def decode(where: TopicPartition, records: Sequence[Record]) -> Decoded:
    """What the history must have of the records, and why not."""
    rows, refused = [], {}
    for record in records:
        recorded_at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=record.millis)
        place = dict(zip(("topic", "partition", "offset"), (*where, record.offset), strict=True))
        if (record.value or b"").isdigit():
            rows.append({"n": int(record.value or b""), **place, "recorded_at": recorded_at})
        else:
            refused[record.offset] = "no number"
    return Decoded(pa.Table.from_pylist(rows, schema=HISTORY.arrow_schema), refused)


AUDIT = Audit(query="history", history=HISTORY, dead_letters=DEAD_LETTERS, decode=decode)


if __name__ == "__main__":
    name, most = sys.argv[1:]
    session, wanted = spark_session("pair-stream"), [query for query in queries() if query.name == name]
    Runner(session, settings().brokers(), StopSignal().listen(), int(most)).run(wanted, "available-now")
