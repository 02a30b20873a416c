"""A lake of sales and batches written by hand, for the recomputation: each sale says when and where it came."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from deltalake import write_deltalake

from jobs.houses.schema import AVERAGES_BATCH, AVERAGES_BATCHES, HISTORY, PARITY
from lakehouse.contract.tables import Table
from lakehouse.tables import table_io

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Rows = list[dict[str, Any]]
Found = dict[str, Rows]


class Topic:
    """Sales that get offsets, are stored, and are read by batches of the averages."""

    def __init__(self) -> None:
        self.ends = {0: 0, 1: 0}
        self._batches = 0
        self._logged = {0: 0, 1: 0}

    def sale(self, event_id: str | None, at: datetime, partition: int = 0, after: float = 1.0, price: int = 100) -> Any:
        """A sale that the broker got `after` seconds after it."""
        offset, self.ends[partition] = self.ends[partition], self.ends[partition] + 1
        row: dict[str, Any] = dict.fromkeys(HISTORY.columns)
        row |= {"topic": "houses", "partition": partition, "offset": offset, "source": "stream"}
        row |= {"recorded_at": at + timedelta(seconds=after), "event_at": at, "event_id": event_id}
        return row | {"id": "7", "price": price, "yr_built": 1900 + 10 * (price % 3)}

    def store(self, *sales: dict[str, Any], read: bool = True, watermark: datetime = NOON - DAY) -> None:
        """Append the sales to the history; with `read` a batch of the averages has read all that there is."""
        append(HISTORY, sales)
        if read:
            self.read(watermark)

    def read(self, watermark: datetime, generation: str = "g") -> None:
        """A batch of the averages over all that it has not read yet."""
        batch = {"generation": generation, "batch_id": self._batches, "topic": "houses", "watermark": watermark}
        batch["committed_at"] = NOON + timedelta(seconds=self._batches)
        places = [
            {"partition": partition, "start_offset": self._logged[partition], "end_offset": end}
            for partition, end in self.ends.items()
        ]
        append(AVERAGES_BATCHES, [batch | place for place in places])
        self._logged, self._batches = dict(self.ends), self._batches + 1


def append(table: Table, rows: Sequence[dict[str, Any]]) -> None:
    delta = table_io.create(table)
    write_deltalake(
        delta, table_io.rows(table, [{**dict.fromkeys(table.columns), **row} for row in rows]), mode="append"
    )


def rows(table: Table) -> Rows:
    order = [(name, "ascending") for name in AVERAGES_BATCH.keys]
    found: Rows = table_io.read(table).drop_columns("recomputed_at").sort_by(order).to_pylist()
    return found


def tables() -> Found:
    return {"batch": rows(AVERAGES_BATCH), "parity": rows(PARITY)}


def nothing(_topic: Topic) -> None:
    """The same history."""


def new_day(topic: Topic) -> None:
    topic.store(*[topic.sale(f"n{n}", NOON + 3 * DAY + timedelta(seconds=30 * n)) for n in range(20)])


def late(topic: Topic) -> None:
    topic.store(topic.sale("late", NOON + timedelta(seconds=30)), watermark=NOON + 9 * DAY)
    topic.store(topic.sale("later", NOON + timedelta(seconds=60)))  # the batch before had closed its window


def resent(topic: Topic) -> None:
    topic.store(topic.sale("e3", NOON + timedelta(seconds=150), 1, after=9999, price=103))


def resent_on_another_day(topic: Topic) -> None:
    """As from a sender without `sold_at`: the time of a sale is that of its record."""
    topic.store(topic.sale("e3", NOON + 5 * DAY, 1, price=103), topic.sale("e3", NOON + 6 * DAY, 1, price=103))


def before_the_first(topic: Topic) -> None:
    """A record that is read later and lies before: the first one, on an older day, no longer counts."""
    topic.store(topic.sale("e4", NOON + 7 * DAY, 1, after=-30 * 86_400, price=104))


def beside_a_resend(topic: Topic) -> None:
    """A window that has a resend whose first one lies in a window that is not read."""
    resent_on_another_day(topic)
    topic.store(topic.sale("n", NOON + 5 * DAY + timedelta(seconds=1)))
