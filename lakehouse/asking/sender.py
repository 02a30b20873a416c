"""Sends requests with one idempotent producer, and waits for the broker's acknowledgement, at most 2 s."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from lakehouse.errors import UnavailableError
from lakehouse.kafka import client

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

ACKNOWLEDGED_WITHIN = 2.0  # seconds
_OPTIONS = {"linger.ms": 0, "reconnect.backoff.max.ms": 500}  # soon after the broker is back, requests are taken again


class RequestSender:
    """One producer for all threads of the process; close it when done."""

    def __init__(self, brokers: Callable[[], str], topic: str, within: float = ACKNOWLEDGED_WITHIN) -> None:
        """`brokers` says where the broker is, and may raise UnavailableError; it is asked with every request."""
        self._brokers, self._topic, self._within = brokers, topic, within
        # What is not acknowledged in time is dropped: its client was refused by then.
        self._options = {**_OPTIONS, "delivery.timeout.ms": int(within * 1000)}
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._producer: Producer | None = None
        self._address = ""
        self._reports = threading.Thread(target=self._serve, name=f"send-{topic}", daemon=True)
        self._reports.start()

    def send(self, key: str, value: bytes) -> None:
        """Return once the broker has acknowledged the message. Raises UnavailableError when it does not in time.

        After that error the broker may still have the message: sending it again is safe only under the same key.
        """
        report: Future[KafkaError | None] = Future()

        def take(error: "KafkaError | None", _message: "Message") -> None:
            report.set_result(error)

        try:
            self._of(self._brokers()).produce(self._topic, value, key.encode(), on_delivery=take)
            error = report.result(self._within)
        except TooLate:
            raise self._not_taken("no answer came in time") from None
        except BufferError:
            raise self._not_taken("too many requests are waiting") from None
        except KafkaException as failure:
            raise self._not_taken(failure.args[0].str()) from None
        if error is not None:
            if error.fatal():
                self._drop()
            raise self._not_taken(error.str())

    def close(self) -> None:
        """Send what is under way, and end the thread."""
        self._ending.set()
        self._reports.join()

    def _not_taken(self, why: str) -> UnavailableError:
        what = f"The broker has not taken the request within {self._within:.0f} s: {why.rstrip('.')}."
        return UnavailableError(what, "Ask again with the same id.")

    def _of(self, address: str) -> "Producer":
        """The producer for this address; a broker that has moved gets another one."""
        with self._lock:
            if self._producer is None or address != self._address:
                self._producer, self._address = client.producer(address, self._options), address
            return self._producer

    def _drop(self) -> None:
        """Let the next request make another producer: this one has failed for good."""
        with self._lock:
            self._producer = None

    def _serve(self) -> None:
        """Hand the broker's reports to those who wait, until the end."""
        while not self._ending.is_set():
            if (producer := self._producer) is None:
                self._ending.wait(0.05)
            else:
                producer.poll(0.1)
        if self._producer is not None:
            self._producer.flush(self._within)
