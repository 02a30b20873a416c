"""A domain that gives each request back, marked with the version of its model, which is a text in a file."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from lakehouse.asking.asker import Question
from lakehouse.contract.topics import Topic
from lakehouse.errors import DataError
from lakehouse.settings import settings

REQUESTS = Topic("echo.requests", 2, "texts to give back", encoded_by_us=True)
ANSWERS = Topic("echo.answers", 2, "<version>:<text>")


def encode(request: Mapping[str, Any]) -> bytes:
    """The request as the topic has it: its text. Raises DataError when it has none."""
    if not isinstance(request.get("text"), str):
        raise DataError("text: missing.", 'Send {"text": …}.')
    return json.dumps(request["text"]).encode()


QUESTION = Question("echo", "texts", REQUESTS, ANSWERS, encode, expires_after=timedelta(hours=1))


def model() -> Path:
    """The file of the model."""
    return settings().var / "echo.model"


def version() -> str:
    """The version that is live."""
    return model().read_text().strip()
