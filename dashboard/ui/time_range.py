"""The time ranges that the header offers; assets/core/frame.js knows the same names."""

from datetime import timedelta

RANGES = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(hours=24)}
LABELS = {"15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h"}
USUAL = "1h"


def span(name: str | None) -> timedelta:
    """How long the range is; the usual one for a name that is not known."""
    return RANGES.get(name or "", RANGES[USUAL])
