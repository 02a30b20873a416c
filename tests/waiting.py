"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable
from typing import Any


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What the condition gives as soon as it holds; it is asked 20 times a second."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not true within {seconds} s"
        time.sleep(0.05)
    return value
