"""What the producer sends: events that the rules take, the same for the same seed."""

import itertools
import time

from jobs.example import audit, produce
from lakehouse.core.stop_signal import StopSignal
from lakehouse.kafka.reader import Record


def test_the_same_seed_draws_the_same_events() -> None:
    first, again, other = (list(itertools.islice(produce.draw(seed), 20)) for seed in (1, 1, 2))
    assert first == again != other


def test_its_events_are_valid_and_have_ids_of_their_own() -> None:
    sender = produce.Sender("127.0.0.1:1", 0, StopSignal())
    sent = [sender.message(event, number) for number, event in enumerate(itertools.islice(produce.draw(1), 20))]
    records = [Record(n, sender_now(), message.key, message.value) for n, message in enumerate(sent)]
    decoded = audit.decode(("example", 0), records)
    assert decoded.refused == {}
    assert len(set(decoded.rows["event_id"].to_pylist())) == len(sent)


def sender_now() -> int:
    """The time in milliseconds, as the broker stamps a record."""
    return time.time_ns() // 1_000_000 + 1
