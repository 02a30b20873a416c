"""A request, its id, and the state that it is in."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lakehouse.errors import DataError, LakeError, UnavailableError


class RequestState(StrEnum):
    """What has become of a request. All but the first are final."""

    QUEUED = "queued"  # the broker has it; the answer is to come
    ANSWERED = "answered"
    REJECTED = "rejected"  # it breaks a rule; it was never sent
    EXPIRED = "expired"  # no answer that was on the topic in time was read


class ConflictError(LakeError):
    """The id belongs to another request."""


class RejectedError(DataError):
    """A request that breaks a rule; under `request_id` it can be looked up as rejected."""

    def __init__(self, what: str, fix: str, request_id: str) -> None:
        super().__init__(what, fix)
        self.request_id = request_id


class NotTakenError(UnavailableError):
    """A request that nobody is promised an answer to; it can be asked again under `request_id`."""

    def __init__(self, what: str, fix: str, request_id: str) -> None:
        super().__init__(what, fix)
        self.request_id = request_id


@dataclass(frozen=True)
class Request:
    """A request as the store has it. `value` is what was sent, `answer` the first answer; times are UTC.

    `answered_at` is the time of the answer's record on the topic.
    """

    id: str
    state: RequestState
    asked_at: datetime
    deadline: datetime
    value: bytes | None = None
    reason: str = ""
    answer: bytes | None = None
    answered_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a client reads it: id, state, times, the reason of a rejection, the answer as text."""
        shown: Mapping[str, Any] = {
            "id": self.id,
            "state": self.state,
            "asked_at": self.asked_at.isoformat(),
            "deadline": self.deadline.isoformat(),
            "reason": self.reason or None,
            "answered_at": self.answered_at and self.answered_at.isoformat(),
            "answer": None if self.answer is None else self.answer.decode("utf-8", "replace"),
        }
        return {name: value for name, value in shown.items() if value is not None}


def new_id() -> str:
    """A new request id: whoever knows it can read the answer, so it is random."""
    return str(uuid.uuid4())


def checked_id(text: object) -> str:
    """The id if it is a UUID in its one written form, else a DataError."""
    try:
        if str(uuid.UUID(str(text))) == text:
            return str(text)
    except ValueError:
        pass
    raise DataError(
        f"A request's id is a UUID in lower case with hyphens; got {str(text)[:80]!r}.", f"For example {new_id()}."
    )
