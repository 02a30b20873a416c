"""`lake dead-letters` over a real table: what is listed and shown, whole and safe for a terminal."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.houses.schema import DEAD_LETTERS
from lakehouse.cli import dead_letters
from lakehouse.cli.terminal import escaped, hex_dump
from lakehouse.dead_letters import redrive, store
from lakehouse.dead_letters.store import Place
from lakehouse.errors import LakeError, UsageError
from lakehouse.kafka import peek
from lakehouse.tables import table_io

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def keep(*letters: tuple[str, bytes | None], partition: int = 0) -> None:
    """Letters as (reason, value), a second apart, at offsets 0, 1, …"""
    rows = [
        {
            "topic": "houses",
            "partition": partition,
            "offset": n,
            "recorded_at": NOON + timedelta(seconds=n),
            "reason": reason,
            "key": b"k",
            "value": value,
        }
        for n, (reason, value) in enumerate(letters)
    ]
    table_io.append(table_io.create(DEAD_LETTERS), table_io.rows(DEAD_LETTERS, rows), f"test{partition}", 0)


def command(*arguments: str) -> Any:
    """What `lake dead-letters` prints, and the error it ends with."""
    return CliRunner().invoke(dead_letters.app, list(arguments))


def places(reason: str = "", limit: int | None = None) -> Sequence[tuple[int, int]]:
    return [(where.partition, where.offset) for where in store.places(DEAD_LETTERS, reason, limit)]


@pytest.mark.usefixtures("lake")
def test_places_are_found_by_a_part_of_the_reason_newest_first() -> None:
    keep(("empty value", b""), ("price: missing", b"{}"), ("price: not a number", b"{}"))
    keep(("price: missing", b"{}"), partition=1)
    assert places("PRICE:") == [(0, 2), (0, 1), (1, 0)]
    assert places("price: missing") == [(0, 1), (1, 0)]
    assert places(limit=1) == [(0, 2)]


@pytest.mark.usefixtures("lake")
def test_letters_come_whole_in_the_order_asked_for_and_equal_offsets_are_kept_apart() -> None:
    keep(("null value", None), ("invalid UTF-8", b"\xff" * 1000))
    keep(("empty value", b""), partition=1)
    wanted = [Place("houses", 0, 1), Place("houses", 1, 0), Place("houses", 0, 0), Place("houses", 7, 0)]
    found = store.letters(DEAD_LETTERS, wanted)
    assert [letter.place for letter in found] == wanted[:3]
    assert [letter.value for letter in found] == [b"\xff" * 1000, b"", None]
    chunks = list(store.in_chunks(DEAD_LETTERS, wanted, 3))
    assert [len(chunk) for chunk in chunks] == [3, 0]


@pytest.mark.parametrize("text", ["houses", "houses/0", "houses/a/1", "houses/0/-1", "/0/1", "houses/0/１"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="A place is <topic>/<partition>/<offset>"):
        store.parse_place(text)


@pytest.mark.usefixtures("lake")
def test_the_list_has_a_bar_by_count() -> None:
    keep(*[("empty value", b"")] * 12, ("null value", None))
    lines = command("list").stdout.splitlines()
    bars = {line.split("  ")[1]: line.count("█") for line in lines if "█" in line}
    assert bars == {"empty value": 24, "null value": 2}


@pytest.mark.usefixtures("lake")
def test_what_is_shown_cannot_steer_the_terminal() -> None:
    keep(("price: missing", "{\x1b]0;owned\x07\r\u202e\n }".encode()), ("invalid UTF-8", b"\xff\x1b[2J" + b"A" * 20))
    shown = command("show").stdout
    assert "\x1b" not in shown and "\r" not in shown and "\u202e" not in shown
    assert r"{\x1b]0;owned\x07\r\u202e" in shown
    assert "00000000  ff 1b 5b 32 4a 41" in shown and "..[2JAAAAAAAAAAA" in shown
    assert "\x1b" not in command("list").stdout


@pytest.mark.usefixtures("lake")
def test_json_lines_hold_every_byte() -> None:
    keep(("x", b"\xff\x00"), ("y", b'{"a": "\xc3\xa9"}'), ("z", None))
    letters = [json.loads(line) for line in command("show", "--json").stdout.splitlines()]
    assert [letter["at"] for letter in letters] == ["houses/0/2", "houses/0/1", "houses/0/0"]
    assert [letter.get("value") for letter in letters] == [None, '{"a": "é"}', None]
    assert base64.b64decode(letters[2]["value_base64"]) == b"\xff\x00"


@pytest.mark.usefixtures("lake")
def test_a_place_without_a_dead_letter_is_named() -> None:
    keep(("x", b""))
    done = command("show", "houses/0/0", "houses/3/9")
    assert done.stdout == ""
    assert str(done.exception).startswith("There is no dead letter at houses/3/9.")


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Which dead letters"),
        (("houses/0/0", "--reason", "x"), "Which dead letters"),
        (("--reason", "x", "--patch", "price"), "--patch takes field=value"),
        (("--patch-file", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("--reason", "x"), "No Kafka broker is known"),
    ],
)
def test_a_redrive_that_cannot_be_is_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    keep(("x", b""))
    done = command("redrive", *arguments)
    assert isinstance(done.exception, LakeError)
    assert str(done.exception).startswith(sentence)


@pytest.mark.usefixtures("lake")
def test_a_line_of_new_values_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "new.jsonl"
    file.write_text('{"at": "houses/0/0", "value": {"price": 1}}\n{"at": "houses/0/1"}\n')
    done = command("redrive", "--patch-file", str(file))
    assert str(done.exception).startswith(f"Line 2 of {file} is not a new value.")


def test_text_and_bytes_for_a_terminal() -> None:
    assert escaped("a\tb\x00c\u200bd\ud800") == r"a\tb\x00c\u200bd\ud800"
    assert hex_dump(bytes(range(20)))[1] == f"00000010  {'10 11 12 13':47}  ...."


@pytest.mark.usefixtures("lake")
def test_a_patch_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "new.jsonl"
    file.write_text('{"at": "houses/0/0", "value": "é"}\n', "utf-8-sig")
    keep(("x", b""))
    assert "No Kafka broker is known" in str(command("redrive", "--patch-file", str(file)).exception)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_field_is_set_and_a_message_shown_in_any_encoding_of_unicode(encoding: str) -> None:
    value = '{"price": 1, "note": "é"}'.encode(encoding)
    letter = store.Letter(Place("houses", 0, 0), datetime(2026, 1, 1, tzinfo=UTC), "x", None, value)
    assert redrive.with_fields({"price": 2})(letter) == '{"price":2,"note":"é"}'.encode()
    assert peek.shown(value) == '{\n "price": 1,\n "note": "é"\n}'
