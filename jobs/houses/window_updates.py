"""Updated windows as messages on a topic, in the form that the KSQL table of houses.ksql publishes."""

import json
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lakehouse.sinks.topic import KeyValue


def update_message(row: Mapping[str, Any]) -> KeyValue:
    """Key and value of an updated window.

    The key is KSQL's for a windowed table with KEY_FORMAT='KAFKA': the decade as a 4-byte integer and the window's
    start as 8 bytes of epoch milliseconds. The value holds absolute numbers; window bounds are epoch milliseconds.
    """
    start, end = _millis(row["window_start"]), _millis(row["window_end"])
    value = {
        "DECADE_BUILT": row["decade"],
        "AVG_PRICE": row["avg_price"],
        "NUM_HOUSES": row["sales"],
        "WINDOW_START": start,
        "WINDOW_END": end,
    }
    return KeyValue(struct.pack(">iq", row["decade"], start), json.dumps(value).encode())


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
