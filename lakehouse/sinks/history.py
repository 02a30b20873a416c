"""The history query, which every domain has: writes each record of the topic once, to history or dead letters."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.observation import Observation

from lakehouse.contract.domain import Stores
from lakehouse.core import kill_points
from lakehouse.streaming.batch import Batch, without_held
from lakehouse.streaming.query import Query
from lakehouse.tables import table_io

Rule = Callable[[DataFrame], DataFrame]
FEW = 100_000  # records that go into one file


def history_query(
    domain: str, stores: Stores, parse: Rule, valid: Rule, dead: Rule, is_valid: Column, pace: str
) -> Query:
    """`parse` turns records into rows, `valid` and `dead` select from them; `stores.records` are the two tables."""
    history, letters = stores.records

    def write(parsed: DataFrame, batch: Batch) -> None:
        seen = Observation()
        observed = parsed.observe(seen, F.count(F.when(~is_valid, 1)).alias("invalid"))
        good = without_held(valid(observed), batch, stores.records)
        is_new = table_io.append_batch(_one_file(good, batch), history, batch.app_id, batch.batch_id)
        kill_points.point(f"{batch.query}.appended", batch.batch_id)
        if not is_new or seen.get["invalid"]:  # a skipped batch observes nothing
            bad = without_held(dead(parsed), batch, stores.records)
            table_io.append_batch(_one_file(bad, batch), letters, batch.app_id, batch.batch_id)

    # Parsed in the streaming plan, which Spark analyses once; in `write` it cost half a second a batch.
    return Query(domain, "history", parse, write, "append", stores, pace=pace)


def _one_file(frame: DataFrame, batch: Batch) -> DataFrame:
    return frame.coalesce(1) if batch.records < FEW else frame
