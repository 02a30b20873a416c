"""Events that our own encoder wrote, read by Spark's expressions alone: for queries that may not use Python workers.

What others send is read by reader.py; here a value of another form than ours is null.
"""

from typing import TYPE_CHECKING

from lakehouse.events.contract import EventContract
from lakehouse.events.fields import Kind

if TYPE_CHECKING:
    from pyspark.sql import Column


def event_of(value: "Column", contract: EventContract) -> "Column":
    """The value of a record, as `EventContract.encode` writes it, as a struct with the event's columns."""
    from pyspark.sql import functions as F

    fields = contract.fields.values()
    sent = ", ".join(f"`{field.sent}` {_as_sent(field.kind)}" for field in fields)
    read = F.from_json(value.cast("string"), sent)
    return F.struct(*[read[field.sent].cast(field.column).alias(field.name) for field in fields])


def _as_sent(kind: Kind) -> str:
    return "STRING" if kind in (Kind.TIME, Kind.TIME_OR_DAY) else kind.column
