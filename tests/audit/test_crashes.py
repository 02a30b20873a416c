"""Killed with SIGKILL at chosen points of a batch; `make audit` takes every point of every batch."""

from pathlib import Path

import pytest

from tests import suite
from tests.audit import crashes, oracle
from tests.sites import site

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800), pytest.mark.parametrize("domain", suite.names())]


def test_killed_between_its_writes_a_stream_loses_and_doubles_nothing(domain: str, tmp_path: Path) -> None:
    with site(tmp_path, suite.load(domain)) as place:
        assert crashes.chain(place, crashes.FEW) == []


def test_control_the_check_finds_what_no_stream_has_read_and_what_the_topic_lacks(domain: str, tmp_path: Path) -> None:
    with site(tmp_path, suite.load(domain)) as place:
        place.send(60)
        place.sent += 1
        sent = oracle.records(place)
        assert oracle.lost(place, sent) == ["1 events are not on the topic though it acknowledged them: [60]"]
        missing = oracle.conservation(place, sent)
        assert [sentence.split()[0] for sentence in missing if "not at all" in sentence] == ["history", "dead_letters"]
        assert place.suite.views_wrong(place, sent)
        assert len(oracle.batch_log(place, sent)) == place.partitions
