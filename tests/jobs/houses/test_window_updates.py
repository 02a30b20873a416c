"""The form in which updated windows go onto their topic: that of the KSQL table."""

import json
import struct
from datetime import UTC, datetime

from jobs.houses.window_updates import update_message


def test_an_update_has_the_five_fields_of_the_ksql_table_and_its_key() -> None:
    row = {
        "window_start": datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        "window_end": datetime(2026, 11, 22, 12, 2, tzinfo=UTC),
        "decade": 1990,
        "avg_price": 541020.125,
        "sales": 8,
        "sum_cents": 432816100,
        "is_final": False,
    }
    key, value = update_message(row)
    assert struct.unpack(">iq", key) == (1990, 1795348800000)
    assert json.loads(value) == {
        "DECADE_BUILT": 1990,
        "AVG_PRICE": 541020.125,
        "NUM_HOUSES": 8,
        "WINDOW_START": 1795348800000,
        "WINDOW_END": 1795348920000,
    }
