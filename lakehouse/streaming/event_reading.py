"""Which records a query has read by the rules of an earlier version: today's say nothing about their rows.

The number of the reading is in the sidecar, with where the reading before it ended.
"""

from dataclasses import replace
from pathlib import Path

from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.streaming import checkpoints, sidecar
from lakehouse.streaming.sidecar import Sidecar

READING = 2  # how values are read as events: 1 by Spark's JSON functions, 2 by lakehouse/events


def settle(checkpoint: Path, known: Sidecar) -> Sidecar:
    """The sidecar for a start: what has been read by then, planned batches too, was read as it says or earlier."""
    if known.reading >= READING:
        return known
    planned = checkpoints.last_planned(checkpoint)
    former = {**known.starts, **known.stored_until, **(planned.ends if planned else {})}
    return replace(known, reading=READING, former_until=former)


def former_until(checkpoint: Path) -> Offsets:
    """By partition the first offset that the query reads as this version does; all before were read otherwise."""
    return settle(checkpoint, sidecar.read(checkpoint) or Sidecar()).former_until
