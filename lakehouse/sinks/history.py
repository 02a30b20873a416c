"""The query that every domain has: each record of the topic once, in the history or in the dead letters."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.observation import Observation

from lakehouse.contract.domain import Stores
from lakehouse.core import kill_points
from lakehouse.streaming.batch import Batch, without_stored
from lakehouse.streaming.query import Query
from lakehouse.tables import table_io

Rule = Callable[[DataFrame], DataFrame]
FEW = 100_000  # records that go into one file


def history_query(
    domain: str, stores: Stores, parse: Rule, valid: Rule, dead: Rule, is_valid: Column, pace: str
) -> Query:
    """`parse` makes rows of records, of which `valid` and `dead` take theirs; `stores.records` are the two tables."""
    history, letters = stores.records

    def write(parsed: DataFrame, batch: Batch) -> None:
        seen = Observation()
        observed = parsed.observe(seen, F.count(F.when(~is_valid, 1)).alias("invalid"))
        good = without_stored(valid(observed), batch, stores.records)
        is_new = table_io.append_batch(_one_file(good, batch), history, batch.app_id, batch.batch_id)
        kill_points.point(f"{batch.query}.appended", batch.batch_id)
        if not is_new or seen.get["invalid"]:  # of a batch that was skipped, nothing has been seen
            bad = without_stored(dead(parsed), batch, stores.records)
            table_io.append_batch(_one_file(bad, batch), letters, batch.app_id, batch.batch_id)

    # Parsed in the streaming plan, which is built and analysed once; in `write` it cost half a second a batch.
    return Query(domain, "history", parse, write, "append", stores, pace=pace)


def _one_file(frame: DataFrame, batch: Batch) -> DataFrame:
    return frame.coalesce(1) if batch.records < FEW else frame
