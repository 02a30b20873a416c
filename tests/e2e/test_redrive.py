"""Dead letters sent to a real topic again: byte for byte, patched, never twice by mistake."""

import json
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from jobs.houses.schema import DEAD_LETTERS, DOMAIN
from lakehouse.cli import dead_letters
from lakehouse.dead_letters import redrive, store
from lakehouse.dead_letters.store import Place
from lakehouse.events import record
from lakehouse.kafka import topics
from lakehouse.settings import settings
from lakehouse.tables import table_io
from tests.e2e.running import read_topic

pytestmark = pytest.mark.e2e
SENT = [(b"\xff\xfe", "invalid UTF-8"), (b'{"id":"71","event_id":"e"}', "price: missing"), (None, "null value")]
HEADERS = [("trace", b"\x00\x01"), ("trace", b"again"), ("empty", None)]
STAMP = round(time.time() * 1000) - 3_600_000


@pytest.fixture
def letters(broker: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """Three bad events on a topic of their own partition, and the dead letters they are."""
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", broker)
    settings.cache_clear()
    topics.ensure(broker, DOMAIN.topics)
    offsets: list[int] = []
    producer = Producer({"bootstrap.servers": broker})
    for value, _reason in SENT:
        report = partial(noted, offsets)
        producer.produce("houses", value, b"71", 2, timestamp=STAMP, headers=HEADERS, on_delivery=report)
    assert producer.flush(30) == 0
    for offset, (_value, reason) in zip(offsets, SENT, strict=True):
        keep(broker, offset, reason)
    return [Place("houses", 2, offset) for offset in offsets]


def noted(offsets: list[int], error: Any, message: Any) -> None:
    assert error is None
    offsets.append(message.offset())


def records(broker: str) -> list[Any]:
    return read_topic(broker, "houses", [2])


def keep(broker: str, offset: int, reason: str) -> None:
    """Make a dead letter of the record at the offset, as the stream does."""
    message = records(broker)[offset]
    at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    row = {"topic": "houses", "partition": 2, "offset": offset, "recorded_at": at, "reason": reason}
    data = table_io.rows(DEAD_LETTERS, [{**row, "key": message.key(), "value": message.value()}])
    table_io.append(table_io.create(DEAD_LETTERS), data, f"test {reason}", offset)


def command(*arguments: str) -> Any:
    return CliRunner().invoke(dead_letters.app, ["redrive", *arguments])


def content(message: Any) -> tuple[Any, ...]:
    return message.key(), message.value(), message.timestamp()[1]


def test_a_dry_run_sends_nothing(broker: str, letters: list[Place]) -> None:
    before = len(records(broker))
    done = command("--reason", "missing")
    assert done.exit_code == 0
    assert str(letters[1]) in done.output
    assert "Nothing was sent; --yes sends them." in done.output
    assert len(records(broker)) == before
    assert not table_io.exists(redrive.log_of(DEAD_LETTERS))


def test_what_is_sent_is_the_same_but_for_where_it_came_from(broker: str, letters: list[Place]) -> None:
    before = len(records(broker))
    assert command(*map(str, letters), "--yes").exit_code == 0
    again = records(broker)[before:]
    assert [content(message) for message in again] == [(b"71", value, STAMP) for value, _reason in SENT]
    for message, where in zip(again, letters, strict=True):
        assert message.headers() == [*HEADERS, ("redriven-from", str(where).encode()), ("redrive-count", b"1")]
    rows = table_io.read(redrive.log_of(DEAD_LETTERS)).to_pylist()
    sent = {row["offset"]: row["sent_offset"] for row in rows if row["state"] == "sent"}
    assert sent == {where.offset: message.offset() for message, where in zip(again, letters, strict=True)}


def test_a_second_run_sends_nothing_unless_asked_to(broker: str, letters: list[Place]) -> None:
    assert command("--reason", "null", "--yes").exit_code == 0
    after = len(records(broker))
    repeated = command("--reason", "null", "--yes")
    assert (repeated.exit_code, "0 to send; 1 left out" in repeated.output) == (0, True)
    refused = command(str(letters[2]), "--yes")
    assert str(refused.exception).startswith("Nothing was sent: some of these cannot be sent.")
    assert len(records(broker)) == after
    assert command(str(letters[2]), "--yes", "--again").exit_code == 0
    assert len(records(broker)) == after + 1


@pytest.mark.parametrize("record_is_lost", [False, True])
def test_what_comes_back_is_not_sent_in_a_circle(broker: str, letters: list[Place], record_is_lost: bool) -> None:
    assert command(str(letters[0]), "--yes").exit_code == 0
    keep(broker, len(records(broker)) - 1, "invalid UTF-8")
    if record_is_lost:  # its header tells
        table_io.create(redrive.log_of(DEAD_LETTERS)).delete()
    done = command("--reason", "UTF-8", "--yes")
    assert "was sent again before and has come back" in done.output
    last = Place("houses", 2, len(records(broker)) - (2 if record_is_lost else 1))
    assert command(str(last), "--yes", "--again").exit_code == 0
    assert dict(records(broker)[-1].headers())["redrive-count"] == b"2"


def test_fields_are_set_and_the_rest_stays(broker: str, letters: list[Place]) -> None:
    assert command(str(letters[1]), "--patch", "price=221900", "--patch", "id=72", "--yes").exit_code == 0
    assert json.loads(records(broker)[-1].value()) == {"id": 72, "event_id": "e", "price": 221900}
    done = command(str(letters[0]), "--patch", "price=1", "--yes")
    assert str(done.exception).startswith(f"The dead letter {letters[0]} is not a JSON object")


def test_a_file_gives_each_its_new_value(broker: str, letters: list[Place], tmp_path: Path) -> None:
    before = len(records(broker))
    shown = CliRunner().invoke(dead_letters.app, ["show", "--json"]).stdout.splitlines()
    edited = [json.loads(line) for line in shown]
    edited[1] = {"at": str(letters[1]), "value": {"id": "73"}}
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, edited)))
    assert command("--patch-file", str(tmp_path / "new.jsonl"), "--yes").exit_code == 0
    assert {message.value() for message in records(broker)[before:]} == {None, b'{"id":"73"}', b"\xff\xfe"}


def test_a_letter_that_is_not_whole_is_only_sent_with_a_new_value(
    broker: str, letters: list[Place], tmp_path: Path
) -> None:
    keep(broker, letters[0].offset, record.CUT)
    table_io.create(DEAD_LETTERS).delete("reason = 'invalid UTF-8'")
    before = len(records(broker))
    assert "is cut off" in command("--reason", "only its start", "--yes").output
    assert len(records(broker)) == before
    (tmp_path / "new.jsonl").write_text(json.dumps({"at": str(letters[0]), "value": "whole"}))
    assert command("--patch-file", str(tmp_path / "new.jsonl"), "--yes").exit_code == 0
    assert records(broker)[-1].value() == b"whole"


def test_a_crash_between_sending_and_its_record_is_reported(broker: str, letters: list[Place]) -> None:
    """The state that a kill at that moment leaves: `sending` is on record, the event is on the topic."""
    planned = redrive.plan_redrive(broker, DEAD_LETTERS, letters[:1])
    [letter] = store.letters(DEAD_LETTERS, letters[:1])
    values = {letter.place: letter.value}
    redrive.Log(redrive.log_of(DEAD_LETTERS), "r", planned, values, False).write({letter.place: ("sending", None)})
    redrive.deliver(Producer({"bootstrap.servers": broker}), [letter], values, planned)
    after = len(records(broker))
    done = command("--reason", "UTF-8", "--yes")
    assert "when the run ended: it may or may not be on the topic" in done.output
    assert len(records(broker)) == after
