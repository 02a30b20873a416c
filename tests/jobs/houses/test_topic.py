"""What the broker refuses on the topic of the sales."""

import pytest

from jobs.houses.schema import DOMAIN
from lakehouse.kafka import topics
from tests.audit.bomb import answers_to

pytestmark = pytest.mark.e2e
TOGETHER = {"compression.type": "zstd", "batch.size": 100_000_000, "linger.ms": 500}


def test_a_packed_batch_counts_by_what_it_unpacks_to(broker: str) -> None:
    topics.ensure(broker, DOMAIN.topics)
    packed = [bytes(1_000_000)] * 8  # some hundred bytes on the wire
    assert answers_to(broker, packed, TOGETHER) == ["MSG_SIZE_TOO_LARGE"] * 8
    assert answers_to(broker, packed[:3], TOGETHER) == ["taken"] * 3
