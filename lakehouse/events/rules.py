"""Rules across the fields of an event, and what becomes of a record by its `reason`: DataFrame -> DataFrame."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from lakehouse.contract.standard_tables import COORDINATES
from lakehouse.contract.tables import Table
from lakehouse.events.decoder import REASON
from lakehouse.events.record import KEPT_BYTES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Rule = tuple["Column", "Column | str"]  # whether an event breaks it, and the reason


def with_rules(events: "DataFrame", rules: Sequence[Rule]) -> "DataFrame":
    """The events with the first rule that each breaks as its `reason`; a reason that is there stays."""
    from pyspark.sql import functions as F

    broken = [F.when(is_broken, reason) for is_broken, reason in rules]
    return events.withColumn(REASON, F.coalesce(F.col(REASON), *broken))


def time_rules(name: str, earliest: str, most_ahead: str) -> list[Rule]:
    """An event's time, `event_at`, is not before a day and not long after the record's own; `name` is its field."""
    from pyspark.sql import functions as F

    ahead = F.col("recorded_at") + F.lit(_duration(most_ahead))
    too_late = f"{name}: more than {most_ahead} after the record's timestamp; a time without a zone is UTC"
    return [
        (F.col("event_at") < F.lit(earliest).cast("timestamp"), f"{name}: before {earliest}"),
        (F.col("event_at") > ahead, too_late),
    ]


def _duration(text: str) -> timedelta:
    """A length of time as Spark writes it: `5 minutes`."""
    number, unit = text.split()
    return timedelta(**{f"{unit.rstrip('s')}s": float(number)})


def valid_events(read: "DataFrame", table: Table) -> "DataFrame":
    """The valid events, one row per record, with the columns of the history; resends are kept."""
    from pyspark.sql import functions as F

    return read.where(F.col(REASON).isNull()).select(*table.columns)


def dead_letters(read: "DataFrame") -> "DataFrame":
    """The other records, one row each: coordinates, the reason, and the bytes, of a very long value its start."""
    from pyspark.sql import functions as F

    value = F.col("value")
    kept = F.when(F.octet_length(value) > KEPT_BYTES, F.substring(value, 1, KEPT_BYTES)).otherwise(value)
    return read.where(F.col(REASON).isNotNull()).select(*COORDINATES, REASON, "key", kept.alias("value"))
