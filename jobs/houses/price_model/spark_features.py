"""The code of Spark's Python workers: batches of houses in, their features out.

Separate from pipeline.py because a worker imports the module of its function: without Spark's ML packages it starts in
a third of the time, and every cold training waits for it.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from jobs.houses.price_model import features, house_columns
from jobs.houses.price_model.house_columns import FACTS, Basis

SCHEMA = "id string, zip string, numbers array<double>, log_price double, sales double"


def add_features(batches: Iterator[pa.RecordBatch], basis: Basis) -> Iterator[pa.RecordBatch]:
    """Batches of SCHEMA from batches of training rows, one row per row."""
    for batch in batches:
        yield _featured(batch, basis)


def _featured(batch: pa.RecordBatch, basis: Basis) -> pa.RecordBatch:
    houses = house_columns.columns(
        batch["id"].to_pylist(), {name: batch[name].to_pylist() for name in ("price", *FACTS)}
    )
    facts = house_columns.fill(houses.facts, basis)
    numbers = features.numbers(houses.ids, facts, basis)
    ends = np.arange(len(houses) + 1, dtype=np.int32) * numbers.shape[1]
    log_prices = pa.array(np.log(houses.prices), mask=np.isnan(houses.prices))
    return pa.RecordBatch.from_arrays(
        [
            batch["id"],
            # Null: the indexer keeps it apart and the encoder encodes it as zeros, as the export does.
            pa.array([code or None for code in house_columns.zips_of(facts, basis).tolist()], pa.string()),
            pa.ListArray.from_arrays(pa.array(ends), pa.array(numbers.ravel())),
            log_prices,
            batch["sales"],
        ],
        names=["id", "zip", "numbers", "log_price", "sales"],
    )
