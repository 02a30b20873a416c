"""Sends dead letters to their topic again: unchanged or patched, none twice without --again, each one logged.

The log says `sending` before a letter is sent and `sent` once the broker has it. A crash in between leaves `sending`:
the letter may or may not be on the topic. Only --again sends it again; an event with an event_id counts once in the
recomputation.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from deltalake import write_deltalake

from lakehouse.dead_letters.store import Letter, Place, in_chunks, places
from lakehouse.errors import DataError, UnavailableError
from lakehouse.events.record import CUT
from lakehouse.kafka import client
from lakehouse.tables import table_io
from lakehouse.tables.table_io import HISTORY_PROPERTIES, Table

FROM, COUNT = "redriven-from", "redrive-count"  # headers of a letter that is sent again
CHUNK = 20  # letters in memory at a time: a value may have megabytes
READ_ON = 20_000  # up to so many records between two wanted ones are read; beyond that the consumer seeks
ANSWER_SECONDS = 30.0
KEEPS_TIME = timedelta(hours=12)  # retention counts from a record's time: an old one might be deleted unread
Headers = list[tuple[str, str | bytes | None]]
Patch = Callable[[Letter], bytes | None]


def log_of(dead_letters: Table) -> Table:
    """The log of redrives: two rows per letter sent, `sending` and then `sent` or `failed`."""
    columns = {"run_id": "STRING", "topic": "STRING", "partition": "INT", "offset": "BIGINT", "state": "STRING"}
    columns |= {"sent_offset": "BIGINT", "redrive_count": "INT", "is_patched": "BOOLEAN", "value_sha256": "STRING"}
    return Table(
        dead_letters.domain,
        "redrives",
        {**columns, "at": "TIMESTAMP"},
        keys=("run_id", "topic", "partition", "offset", "state"),
        about="dead letters sent to their topic again; sent_offset is in the same partition",
        properties=HISTORY_PROPERTIES,
        writer="deltalake",
    )


@dataclass
class RedrivePlan:
    """The letters to send, and those left out: place to the reason, as a phrase."""

    ready: list[Place] = field(default_factory=list)
    left_out: dict[Place, str] = field(default_factory=dict)
    counts: dict[Place, int] = field(default_factory=dict)  # how often each event was sent again, this time included
    headers: dict[Place, Headers] = field(default_factory=dict)


def plan_redrive(
    bootstrap_servers: str, dead_letters: Table, wanted: Sequence[Place], again: bool = False, patched: bool = False
) -> RedrivePlan:
    """The letters that would be sent. `again` includes those that were sent before or came back from a redrive;
    `patched` includes those of which only the start was stored.
    """
    plan = RedrivePlan()
    cut = set() if patched else set(places(dead_letters, CUT))
    before, results = _read_log(dead_letters)
    original = _headers_on_topic(bootstrap_servers, dead_letters, wanted)
    for where in wanted:
        headers = original.get(where, [])
        round_trips = max(results.get(where, 0), _count(headers))
        if where in cut:
            plan.left_out[where] = "is cut off: only its start was stored; --patch-file can give it a new value"
        elif where in before and not again:
            plan.left_out[where] = before[where]
        elif round_trips and not again:
            plan.left_out[where] = "was sent again before and has come back"
        else:
            plan.ready.append(where)
            plan.counts[where] = round_trips + 1
            plan.headers[where] = [header for header in headers if header[0] not in (FROM, COUNT)]
    return plan


def _read_log(dead_letters: Table) -> tuple[dict[Place, str], dict[Place, int]]:
    """Phrases about letters sent before, by place; and how often the records they became had been sent, by place."""
    before, results = {}, {}
    for row in table_io.read(log_of(dead_letters)).sort_by("at").to_pylist():
        where = Place(row["topic"], row["partition"], row["offset"])
        at = f"{row['at']:%Y-%m-%d %H:%M:%S} UTC"
        if row["state"] == "sent":
            landed = Place(row["topic"], row["partition"], row["sent_offset"])
            before[where] = f"was sent again on {at} as {landed}"
            results[landed] = row["redrive_count"]
        elif row["state"] == "sending":
            before[where] = f"was being sent again on {at} when the run ended: it may or may not be on the topic"
        else:
            before.pop(where, None)
    return before, results


def _count(headers: Headers) -> int:
    """How often the event was sent again, from its own header."""
    count = dict(headers).get(COUNT)
    return int(count) if count and count.isdigit() else int(FROM in dict(headers))


def _headers_on_topic(bootstrap_servers: str, dead_letters: Table, wanted: Sequence[Place]) -> dict[Place, Headers]:
    """Headers of the letters' records, by place, where the topic still has the same key and value."""
    consumer = client.assigned_consumer(bootstrap_servers, "lake-redrive")
    headers_of: dict[Place, Headers] = {}
    following = Place("", 0, 0)
    try:
        for letter in (letter for chunk in in_chunks(dead_letters, sorted(wanted), CHUNK) for letter in chunk):
            where = letter.place
            if following[:2] != where[:2] or not 0 <= where.offset - following.offset < READ_ON:
                consumer.assign([TopicPartition(*where)])
            message = _at(consumer, where)
            following = where._replace(offset=where.offset + 1) if message is not None else Place("", 0, 0)
            if message is not None and (message.key(), message.value()) == (letter.key, letter.value):
                headers = message.headers() or []
                headers_of[where] = list(headers.items() if isinstance(headers, dict) else headers)
    finally:
        consumer.close()
    return headers_of


def _at(consumer: Consumer, where: Place) -> Message | None:
    """The record at that place; None when it is gone. Raises UnavailableError when the broker does not answer."""
    while (message := consumer.poll(ANSWER_SECONDS)) is not None:
        if message.error() is not None:
            return None  # the end of the partition, or no such partition
        if (message.offset() or 0) >= where.offset:
            return message if message.offset() == where.offset else None
    raise UnavailableError(
        f"The topic {where.topic} did not answer within {ANSWER_SECONDS:.0f} s.", "Check the broker: `lake status`."
    )


def send(
    bootstrap_servers: str, dead_letters: Table, planned: RedrivePlan, patch: Patch | None = None
) -> dict[Place, Place]:
    """Send the planned letters to their topic and partition, with key and headers; old place to new place.

    A record keeps its time, the event time of an event without its own, unless it is old. Raises UnavailableError
    when the broker did not accept all; those that it accepted are logged.
    """
    run_id = uuid.uuid4().hex
    done: dict[Place, Place] = {}
    limits = {"message.max.bytes": 100_000_000, "delivery.timeout.ms": int(ANSWER_SECONDS * 1000)}
    producer = client.producer(bootstrap_servers, limits)
    for chunk in in_chunks(dead_letters, planned.ready, CHUNK):
        values = {letter.place: patch(letter) if patch else letter.value for letter in chunk}
        log = Log(log_of(dead_letters), run_id, planned, values, bool(patch))
        log.write({letter.place: ("sending", None) for letter in chunk})
        outcome = deliver(producer, chunk, values, planned)
        log.write(outcome)
        done |= {where: where._replace(offset=at) for where, (_state, at) in outcome.items() if at is not None}
        if len(outcome) < len(chunk) or any(state != "sent" for state, _at in outcome.values()):
            what = f"{len(done)} of {len(planned.ready)} dead letters were sent; the broker did not accept the others."
            raise UnavailableError(what, "Check the broker (`lake status`) and run the same command again.")
    return done


def keeps_time(letter: Letter) -> bool:
    """Whether the record is young enough to keep its time when it is sent again."""
    return datetime.now(UTC) - letter.recorded_at < KEEPS_TIME


def deliver(
    producer: Producer, chunk: Iterable[Letter], values: Mapping[Place, bytes | None], planned: RedrivePlan
) -> dict[Place, tuple[str, int | None]]:
    """Produce the letters and wait for the delivery reports: place to `sent` and its offset, or `failed`."""
    outcome: dict[Place, tuple[str, int | None]] = {}

    def reported(where: Place) -> Callable[[Any, Message], None]:
        def report(error: Any, message: Message) -> None:
            outcome[where] = ("failed", None) if error else ("sent", message.offset())

        return report

    for letter in chunk:
        where = letter.place
        headers = [*planned.headers[where], (FROM, str(where).encode()), (COUNT, str(planned.counts[where]).encode())]
        producer.produce(
            where.topic,
            values[where],
            letter.key,
            partition=where.partition,
            timestamp=round((letter.recorded_at if keeps_time(letter) else datetime.now(UTC)).timestamp() * 1000),
            headers=headers,
            on_delivery=reported(where),
        )
    producer.flush(ANSWER_SECONDS + 5)
    return outcome


@dataclass
class Log:
    """Logs the states of a chunk of letters."""

    table: Table
    run_id: str
    planned: RedrivePlan
    values: Mapping[Place, bytes | None]
    is_patched: bool

    def write(self, states: Mapping[Place, tuple[str, int | None]]) -> None:
        """Add a row for each letter, in one commit."""
        rows = [
            {
                "run_id": self.run_id,
                **where._asdict(),
                "state": state,
                "sent_offset": offset,
                "redrive_count": self.planned.counts[where],
                "is_patched": self.is_patched,
                "value_sha256": hashlib.sha256(self.values[where] or b"").hexdigest(),
                "at": datetime.now(UTC),
            }
            for where, (state, offset) in states.items()
        ]
        write_deltalake(table_io.create(self.table), table_io.rows(self.table, rows), mode="append")


def with_fields(changes: Mapping[str, Any]) -> Patch:
    """A patch that sets fields of a JSON object; it raises DataError for another value."""

    def patch(letter: Letter) -> bytes:
        try:
            event = json.loads(letter.value or b"")
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise DataError(
                f"The dead letter {letter.place} is not a JSON object: its fields cannot be set.",
                "Give it a new value with --patch-file.",
            )
        return json.dumps({**event, **changes}, ensure_ascii=False, separators=(",", ":")).encode()

    return patch


def with_values(values: Mapping[Place, bytes | None]) -> Patch:
    """A patch that gives each letter the value listed for its place."""
    return lambda letter: values[letter.place]
