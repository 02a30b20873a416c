"""A pinned version of a table knows the last batch that changed it."""

import pytest

from lakehouse.audit.pinned import TableVersion
from lakehouse.contract import standard_tables
from lakehouse.streaming import checkpoints
from lakehouse.tables import table_io

PIECES = standard_tables.speed_table("retail", "pieces", {"item": "INT"}, ("item",), "pieces left", ())


@pytest.mark.usefixtures("lake")
def test_the_last_batch_is_that_of_the_query_whatever_its_table_is_called() -> None:
    assert TableVersion(PIECES).last("g", "stock") is None
    delta = table_io.create(PIECES)
    for number in (2, 3):
        table_io.append(delta, table_io.rows(PIECES, [{"item": number}]), checkpoints.app_id("g", "stock"), number)
    version = TableVersion(PIECES)
    assert (version.last("g", "stock"), version.last("g", "pieces"), version.last("h", "stock")) == (3, None, None)
