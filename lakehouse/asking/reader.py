"""Reads the answers from their topic into the store, from where it came to the last time; a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from lakehouse.asking.read_until import ReadUntil
from lakehouse.asking.store import KEPT, Answer, RequestStore
from lakehouse.errors import LakeError
from lakehouse.kafka import client, topics

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

log = logging.getLogger(__name__)

MOST = 500  # answers in one transaction
PAUSE = 1.0  # seconds between two tries to find the broker or the topic
LOOK_AGAIN = 60.0  # seconds between two looks for more partitions, and for requests to forget
_OPTIONS = {"fetch.wait.max.ms": 50, "isolation.level": "read_committed", "reconnect.backoff.max.ms": 500}


class AnswerReader:
    """Follows the topic of answers until it is closed; goes on by itself when the broker is back."""

    def __init__(self, brokers: Callable[[], str], topic: str, store: RequestStore) -> None:
        self._brokers, self._topic, self._store = brokers, topic, store
        self._ending = threading.Event()
        self.read_until: datetime | None = None  # all answers that were on the topic then are in the store
        self.error = ""
        self._thread = threading.Thread(target=self._run, name=f"answers-{topic}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._follow()
            except (LakeError, KafkaException, OSError) as error:
                if str(error) != self.error:
                    log.warning("The answers on %s are not read: %s", self._topic, error)
                self.error = str(error)
                self._ending.wait(PAUSE)

    def _follow(self) -> None:
        """Read from the stored offsets until the end, or until the topic has other partitions."""
        address = self._brokers()
        topics.check(address, PAUSE)
        found = topics.existing(address, [self._topic], "Start the lake: `lake up`.")
        topic_id, partitions = found.ids[self._topic], [partition for _, partition in found.ends]
        known = self._store.offsets(topic_id)
        consumer = client.assigned_consumer(address, "lake-answers", _OPTIONS)
        places = [TopicPartition(self._topic, at, known.get(at, OFFSET_BEGINNING)) for at in partitions]
        try:
            consumer.assign(places)
            self.error = ""
            following = {at: known.get(at, 0) for at in partitions}
            self._read(consumer, topic_id, ReadUntil(address, self._topic, following))
        finally:
            consumer.close()

    def _read(self, consumer: "Consumer", topic_id: str, until: ReadUntil) -> None:
        look_again, partitions = time.monotonic() + LOOK_AGAIN, len(consumer.assignment())
        while not self._ending.is_set():
            messages = consumer.consume(1, 0.2)  # the first one as soon as it is there
            self._take([*messages, *consumer.consume(MOST, 0)] if messages else [], topic_id, until)
            self.read_until = until.moment() or self.read_until
            if time.monotonic() > look_again:
                look_again = time.monotonic() + LOOK_AGAIN
                self._store.forget(datetime.now(UTC) - KEPT)
                with suppress(KafkaException):  # the broker is away for a while
                    if len(consumer.list_topics(self._topic, PAUSE).topics[self._topic].partitions) > partitions:
                        return

    def _take(self, messages: "Sequence[Message]", topic_id: str, until: ReadUntil) -> None:
        answers, offsets, ends = [], {}, {}
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                self._meet(error)
            elif partition is not None and offset is not None and error is not None:
                ends[partition] = offset
            elif partition is not None and offset is not None:
                offsets[partition] = offset + 1
                if (key := message.key()) is not None:  # a record without a key answers nobody
                    text = key.decode("utf-8", "replace")
                    answers.append(Answer(text, message.value(), message.timestamp()[1]))
        if offsets:
            self._store.record(answers, topic_id, offsets)
        for partition, following in (*offsets.items(), *ends.items()):
            until.note(partition, following)

    @staticmethod
    def _meet(error: KafkaError) -> None:
        """Raise what the client does not heal by itself."""
        if error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(error)
