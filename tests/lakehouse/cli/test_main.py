"""The `lake` command as a user meets it when nothing runs, or when something is wrong."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.houses.schema import DEAD_LETTERS
from lakehouse.core.locks import exclusive
from lakehouse.tables import table_io


def run(var: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run the installed command over a lake of one's own."""
    command = [str(Path(sys.executable).parent / "lake"), *arguments]
    env = {**os.environ, "LAKE_VAR": str(var), "NO_COLOR": "1"}
    env.pop("LAKE_BOOTSTRAP_SERVERS", None)
    return subprocess.run(command, env=env, input=answer, capture_output=True, text=True, check=False, cwd="/")


def test_status_of_nothing_says_how_to_start_and_exits_3(lake: Path) -> None:
    done = run(lake, "status")
    assert (done.returncode, done.stdout.strip()) == (3, "The lake is not running. Start it: `lake up`.")
    status = json.loads(run(lake, "status", "--json").stdout)
    assert (status["running"], status["processes"]) == (False, [])


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ("topics",),
            69,
            "Error: No Kafka broker is known: the embedded broker is not running. Start it with `lake up`",
        ),
        (("topics", "cheese"), 2, "Error: There is no domain 'cheese'. Domains: houses"),
        (("logs",), 2, "Error: There is no log of any process."),
    ],
)
def test_an_error_is_one_sentence_with_what_to_do(
    lake: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = run(lake, *arguments)
    assert done.returncode == code
    assert done.stderr.startswith(sentence)
    assert "Traceback" not in done.stderr


def test_debug_shows_the_trace(lake: Path) -> None:
    assert "Traceback" in run(lake, "topics", "--debug").stderr


def test_down_with_nothing_running_is_no_error(lake: Path) -> None:
    done = run(lake, "down")
    assert (done.returncode, done.stdout.strip()) == (0, "Nothing was running.")


def test_reset_asks_first_and_keeps_everything_on_no(lake: Path) -> None:
    kept = [lake / "lake/houses/history", lake / "asking/houses"]
    for folder in kept:
        folder.mkdir(parents=True)
    assert run(lake, "reset", "houses", answer="n\n").returncode == 1
    assert all(folder.exists() for folder in kept)
    assert run(lake, "reset", "houses", answer="y\n").returncode == 0
    assert not any(folder.exists() for folder in kept)


@pytest.mark.parametrize(
    ("lock", "what", "domain"),
    [
        ("checkpoints/houses/averages.lock", "Query houses.averages is running (pid", "houses"),
        ("checkpoints/houses/averages.lock", "Query houses.averages is running (pid", ""),
        ("run/houses.train.lock", "The job houses.train is running (pid", "houses"),
        ("run/nightly.lock", "The nightly run is running (pid", "houses"),
        ("run/maintain.lock", "The maintenance is running (pid", ""),
        ("run/lake.lock", "The lake is running (pid", "houses"),
    ],
)
def test_reset_is_refused_under_what_runs_however_it_was_started(lake: Path, lock: str, what: str, domain: str) -> None:
    kept = lake / "lake/houses/history"
    kept.mkdir(parents=True)
    with exclusive(lake / lock, "It"):  # as a stream of spark-submit, or the job, holds it
        done = run(lake, "reset", *([domain] if domain else []), "--yes")
    assert (done.returncode, kept.exists()) == (78, True)
    assert done.stderr.startswith(f"Error: {what}")
    assert "cannot be deleted under it. Stop that one first." in done.stderr


def test_reset_of_a_domain_may_run_beside_a_stream_of_another(lake: Path) -> None:
    kept = lake / "lake/houses/history"
    kept.mkdir(parents=True)
    with exclusive(lake / "checkpoints/production/history.lock", "It"):
        assert run(lake, "reset", "houses", "--yes").returncode == 0
    assert not kept.exists()
    (lake / "lake/houses").mkdir(parents=True)
    assert run(lake, "reset", "--yes").returncode == 0
    assert not lake.exists()


def test_dead_letters_are_listed_by_reason_with_the_start_of_their_bytes(lake: Path) -> None:
    at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    letters = [
        {
            "topic": "houses",
            "partition": 0,
            "offset": n,
            "recorded_at": at,
            "reason": reason,
            "key": None,
            "value": value,
        }
        for n, (reason, value) in enumerate([("empty value", b""), ("invalid UTF-8", b"\xff!"), ("empty value", b"")])
    ]
    table_io.append(table_io.create(DEAD_LETTERS), table_io.rows(DEAD_LETTERS, letters), "test", 0)
    command = [str(Path(sys.executable).parent / "lake"), "dead-letters", "list", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["reasons"]["houses"] == {"empty value": 2, "invalid UTF-8": 1}
    assert [letter["offset"] for letter in found["newest"]] == [2, 1, 0]
    assert found["newest"][1]["value_start"] == "\\xff!"
