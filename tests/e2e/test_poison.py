"""Spoilt messages among good ones through broker and stream; `python -m tests.audit.poison` sends thousands."""

import random

import pytest

from tests.audit import poison
from tests.e2e.running import Platform

pytestmark = pytest.mark.e2e


def test_good_is_history_bad_is_dead_letters_together_they_are_the_topic(platform: Platform) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 (pytest shows it with a failure)
    assert poison.attack(platform, seed, 400).total() > 200
