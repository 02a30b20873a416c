"""A topic as a sink: rows as messages, under one of two guards against a batch that comes again.

`RepeatingTopic` sends it again: at least once, and its readers recognise a message by its identity.
`TransactionalTopic` sends each batch in one Kafka transaction: readers with `read_committed` see it once.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from lakehouse.contract.tables import Table
from lakehouse.core import kill_points
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.kafka import client
from lakehouse.sinks.sent_batches import GENERATION, NUMBER, WRITER, sent_batches
from lakehouse.sinks.sink import Row
from lakehouse.spark.session import collect
from lakehouse.streaming.batch import Batch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FLUSH_SECONDS = 30.0
TRANSACTION_SECONDS = 300  # a batch's writes to its other places lie within; brokers allow 900 unless configured
# The topic's limit counts, not the client's own. Each batch is sent at once.
_OPTIONS = {"linger.ms": 0, "message.max.bytes": 1_000_000_000}
SOURCE = "source"  # the header with the coordinates of the record that a message was made of
Headers = dict[str, str | bytes | None]


class KeyValue(NamedTuple):
    """Key and value of a message; a value of None deletes the key in a compacted topic."""

    key: bytes | None
    value: bytes | None


class TopicSink(ABC):
    """What both guards do alike."""

    tables: tuple[Table, ...] = ()

    def __init__(self, bootstrap_servers: str, topic: str, message: Callable[[Row], KeyValue]) -> None:
        self._bootstrap_servers, self._topic, self._message = bootstrap_servers, topic, message

    @abstractmethod
    def send(self, rows: Sequence[Row], batch: Batch) -> Callable[[], None]:
        """Send the rows at once; the function returned waits until the broker has them.

        It raises UnavailableError when the broker does not acknowledge them.
        """

    def write(self, frame: "DataFrame", batch: Batch) -> None:
        """Send the batch's rows."""
        self.send(collect(frame), batch)()

    def _produce(
        self, producer: Producer, rows: Sequence[Row], headers: Callable[[Row], Headers]
    ) -> Callable[[], None]:
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        for row in rows:
            key, value = self._message(row)
            while True:
                try:
                    producer.produce(self._topic, value, key, on_delivery=delivered, headers=headers(row))
                    break
                except BufferError:  # the client's queue is full
                    producer.poll(0.1)
        producer.poll(0)

        def acknowledged() -> None:
            left = producer.flush(FLUSH_SECONDS)
            _refuse_too_large(self._topic, failed)
            if left or failed:
                why = failed[0].str() if failed else f"no answer in {FLUSH_SECONDS:.0f} s"
                raise UnavailableError(f"{left + len(failed)} messages did not get to topic {self._topic}: {why}.")

        return acknowledged


class RepeatingTopic(TopicSink):
    """At least once. Of a message that comes twice the identity is the same.

    `identity` is `source`, the record that the row was made of: its coordinates are in the header `source` as
    topic:partition:offset, and the rows have these columns. Or it is `key`, for absolute values: the same key and value
    again. The header `batch_id` has the batch that wrote the message, for whoever traces it.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        message: Callable[[Row], KeyValue],
        identity: Literal["source", "key"],
    ) -> None:
        super().__init__(bootstrap_servers, topic, message)
        self._identity = identity
        self._producer: Producer | None = None

    def send(self, rows: Sequence[Row], batch: Batch) -> Callable[[], None]:
        """As TopicSink says. After a failure a new producer sends: one with a fatal error never sends again."""

        def headers(row: Row) -> Headers:
            of_batch: Headers = {NUMBER: str(batch.batch_id)}
            if self._identity == "key":
                return of_batch
            return of_batch | {SOURCE: f"{row['topic']}:{row['partition']}:{row['offset']}"}

        with self._failing():
            self._producer = self._producer or client.producer(self._bootstrap_servers, _OPTIONS)
            acknowledged = self._produce(self._producer, rows, headers)

        def wait() -> None:
            with self._failing():
                acknowledged()

        return wait

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with _sentences(self._topic):
                yield
        except BaseException:
            self._producer = None
            raise


class TransactionalTopic(TopicSink):
    """Each batch in one Kafka transaction; generation and number of the batch are in the headers.

    What the topic has is read back at the start and after a failure, so a batch that comes again is not sent again. A
    rebuilt query is a new generation: it sends all of its batches. `writer` is the query's full name; a second process
    under that name ends the first one's transactions in the topic.
    """

    def __init__(self, bootstrap_servers: str, topic: str, message: Callable[[Row], KeyValue], writer: str) -> None:
        super().__init__(bootstrap_servers, topic, message)
        self._writer = writer
        self._producer: Producer | None = None
        self._sent: Mapping[str, int] = {}
        self._began = 0.0

    def send(self, rows: Sequence[Row], batch: Batch) -> Callable[[], None]:
        """As TopicSink says; the function returned commits. Raises RefusedError when another process has taken over."""
        with self._errors():
            producer = self._producer or self._started()
            self._producer = None  # until the commit: after a failure the topic says what it has
            if not rows or batch.batch_id <= self._sent.get(batch.generation, -1):
                self._producer = producer
                return lambda: None
            self._began = time.monotonic()
            producer.begin_transaction()
            of_batch: Headers = {WRITER: self._writer, GENERATION: batch.generation, NUMBER: str(batch.batch_id)}
            acknowledged = self._produce(producer, rows, lambda _row: of_batch)

        def commit() -> None:
            with self._errors():
                acknowledged()
                kill_points.point(f"{batch.query}.sent", batch.batch_id)
                producer.commit_transaction(FLUSH_SECONDS)
            kill_points.point(f"{batch.query}.published", batch.batch_id)
            self._sent = {batch.generation: batch.batch_id}
            self._producer = producer

        return commit

    def _started(self) -> Producer:
        """A producer after whose start no transaction of an earlier one is open."""
        options = {
            **_OPTIONS,
            "transactional.id": f"{self._writer}:{self._topic}",
            "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
        }
        self._began = time.monotonic()
        producer = client.producer(self._bootstrap_servers, options)
        producer.init_transactions(FLUSH_SECONDS)
        self._sent = sent_batches(self._bootstrap_servers, self._topic, self._writer)
        return producer

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """A block in which an error of the client becomes a sentence."""
        try:
            with _sentences(self._topic):
                yield
        except _FencedError:
            raise self._fenced() from None

    def _fenced(self) -> LakeError:
        """Brokers say the same to a producer whose place was taken and to one whose transaction they ended."""
        if time.monotonic() - self._began > TRANSACTION_SECONDS:
            return UnavailableError(
                f"A batch did not get to topic {self._topic}: its transaction was open for more than "
                f"{TRANSACTION_SECONDS} s, and the broker ended it."
            )
        return RefusedError(
            f"Another process writes to topic {self._topic} as {self._writer}.",
            "Stop one of the two; the other goes on.",
        )


class _FencedError(Exception):
    """The broker takes nothing from this producer any more."""


@contextmanager
def _sentences(topic: str) -> Iterator[None]:
    """A block in which an error of the client becomes a sentence. Raises _FencedError where the broker fenced it."""
    try:
        yield
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED):
            raise _FencedError from None
        _refuse_too_large(topic, [reason])
        raise UnavailableError(f"A batch did not get to topic {topic}: {reason.str()}.") from None


def _refuse_too_large(topic: str, errors: Sequence[KafkaError]) -> None:
    """Raise RefusedError where a message is larger than the topic allows: sent again, it is as large."""
    if any(error.code() == KafkaError.MSG_SIZE_TOO_LARGE for error in errors):
        raise RefusedError(
            f"A message is too large for topic {topic}: {errors[0].str()}.",
            "Write smaller values to it, or raise its `max.message.bytes`; then start the query again.",
        )
