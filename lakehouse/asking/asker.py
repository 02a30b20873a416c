"""The asking side of a request topic and an answer topic: `ask` a request, `find` what has become of it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.asking import store_file
from lakehouse.asking.reader import AnswerReader
from lakehouse.asking.requests import NotTakenError, RejectedError, Request, checked_id, new_id
from lakehouse.asking.sender import ACKNOWLEDGED_WITHIN, RequestSender
from lakehouse.asking.store import RequestStore
from lakehouse.contract.topics import Topic
from lakehouse.errors import DataError, UnavailableError, UsageError
from lakehouse.settings import settings

Encode = Callable[[Mapping[str, Any]], bytes]


@dataclass(frozen=True)
class Question:
    """What a domain lets users ask: a name, both topics, how a request is checked and encoded, when it expires.

    `encode` raises DataError for a request that breaks a rule; such a request is never sent.
    """

    domain: str
    name: str
    requests: Topic
    answers: Topic
    encode: Encode
    expires_after: timedelta = timedelta(seconds=60)

    @property
    def full_name(self) -> str:
        """<domain>.<name>."""
        return f"{self.domain}.{self.name}"


class Asker:
    """Asks one kind of question, from any thread of the one process that does; close it when done."""

    def __init__(
        self,
        question: Question,
        brokers: Callable[[], str] = lambda: settings().brokers(),
        within: float = ACKNOWLEDGED_WITHIN,
    ) -> None:
        """`within` is how many seconds the broker has to acknowledge a request.

        Raises UsageError when the request topic is open to others, RefusedError when another process asks."""
        if not question.requests.encoded_by_us:
            what = f"Requests of {question.full_name} go to topic {question.requests.name}, which others may write to."
            raise UsageError(what, "Declare the topic with encoded_by_us=True, and let nobody else write to it.")
        self.question = question
        self._store = RequestStore(store_file.path(question.domain, question.name))
        self._sender = RequestSender(brokers, question.requests.name, within)
        self._reader = AnswerReader(brokers, question.answers.name, self._store)
        self._turn, self._under_way = threading.Condition(), set[str]()

    def close(self) -> None:
        """End the threads and close the store. A request under way is sent first."""
        self._sender.close()
        self._reader.close()
        self._store.close()

    def ask(self, request: Mapping[str, Any], request_id: str | None = None) -> str:
        """Send a request; its id, once the broker has acknowledged it. The same request under its id is sent once.

        Raises DataError for an id that is no UUID, RejectedError for a request that breaks a rule, ConflictError for an
        id that has another request, and NotTakenError when the broker does not acknowledge in time or the request
        cannot be stored: then ask again with the same id.
        """
        request_id = new_id() if request_id is None else checked_id(request_id)
        try:
            self._ask(request, request_id)
        except UnavailableError as error:
            raise NotTakenError(error.what, error.fix, request_id) from None
        return request_id

    def _ask(self, request: Mapping[str, Any], request_id: str) -> None:
        try:
            value = self.question.encode(request)
        except DataError as error:
            self._store.reject(request_id, str(error), datetime.now(UTC))
            raise RejectedError(error.what, error.fix, request_id) from None
        with self._alone(request_id):
            asked_at = datetime.now(UTC)
            if self._store.begin(request_id, value, asked_at, asked_at + self.question.expires_after):
                self._sender.send(request_id, value)
                self._store.acknowledge(request_id)

    @contextmanager
    def _alone(self, request_id: str) -> Iterator[None]:
        """Let no other thread send this request meanwhile."""
        with self._turn:
            self._turn.wait_for(lambda: request_id not in self._under_way)
            self._under_way.add(request_id)
        try:
            yield
        finally:
            with self._turn:
                self._under_way.discard(request_id)
                self._turn.notify_all()

    def find(self, request_id: str) -> Request | None:
        """What has become of a request; None for an id that nobody was promised. Raises DataError for no id at all."""
        return self._store.find(checked_id(request_id), self._reader.read_until)

    def counts(self) -> dict[str, int]:
        """How many requests are in each state."""
        return self._store.counts(self._reader.read_until)
