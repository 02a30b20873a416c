"""The largest values that a topic takes, in a batch with events: dead letters, and the events are kept."""

from collections.abc import Callable

import pytest

from lakehouse.contract import discovery
from lakehouse.tables import table_io
from tests.audit import oracle
from tests.audit.bomb import answers_to
from tests.sites import Site

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("calm")]
LARGE = 4_000_000


def test_values_of_4_mb_are_dead_letters_and_lose_no_event(site: Site, run: Callable[..., None]) -> None:
    text = b'{"id": "' + b"1" * (LARGE - 10) + b'"}'
    values = [bytes(LARGE), text, b"[" * LARGE, b'{"a":' * (LARGE // 5)] * 4
    assert set(answers_to(site.bootstrap_servers, values, {"batch.size": 1})) == {"taken"}
    run()
    assert oracle.check(site) == []
    letters = table_io.read(discovery.load(site.domain).dead_letters, ["value"])["value"].to_pylist()
    assert sorted(letter for letter in letters if len(letter or b"") > LARGE // 2) == sorted(values)
