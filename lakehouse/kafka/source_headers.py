"""The headers of a record that was made of another one: which one it was, and when that one was sent."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pyspark.sql import Column

_TOPIC, _PARTITION, _OFFSET, _MILLIS = "source.topic", "source.partition", "source.offset", "source.time"


class Source(NamedTuple):
    """The coordinates of the record that another one was made of, and its time in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    millis: int


def source_columns() -> "Column":
    """The headers as Spark's Kafka sink takes them, from a frame with the columns of its Kafka source."""
    from pyspark.sql import functions as F

    texts = {
        _TOPIC: F.col("topic"),
        _PARTITION: F.col("partition").cast("string"),
        _OFFSET: F.col("offset").cast("string"),
        _MILLIS: F.unix_millis("timestamp").cast("string"),
    }
    headers = [F.struct(F.lit(name).alias("key"), text.cast("binary").alias("value")) for name, text in texts.items()]
    return F.array(*headers).alias("headers")


def source_of(headers: Any) -> Source | None:
    """The source that a record's headers name, as the client has them; None when they name none."""
    found = dict(headers or ())
    try:
        topic, *numbers = (str(found[name], "ascii") for name in (_TOPIC, _PARTITION, _OFFSET, _MILLIS))
        return Source(topic, *(int(number) for number in numbers))
    except (KeyError, ValueError, TypeError):
        return None
