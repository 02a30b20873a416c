"""The production line for real: broker, PostgreSQL, producer, both queries, kills in between, and a plain count.

The oracle reads the topic with a plain consumer and its own decoder; it shares no code with the pipeline.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from lakehouse.postgres_server import unprivileged
from tests.audit.line_oracle import both, decode, in_postgres, wrong
from tests.e2e.running import Platform, read_topic, rows_of, wait_for
from tests.jobs.production.line import count, counted
from tests.postgres import password_of, running_postgres

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def line(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An empty lake with its broker and its PostgreSQL."""
    folder = tmp_path_factory.mktemp("line")
    with running_postgres(folder / "postgres") as dsn:
        env = {**os.environ, "LAKE_VAR": str(folder / "var"), "LAKE_BOOTSTRAP_SERVERS": broker}
        known = f"{dsn} password={password_of(dsn)}"  # which is to be seen nowhere
        yield Platform(broker, folder / "var", {**env, "LAKE_POSTGRES_DSN": known}, domain="production")


def password_is_hidden(line: Platform) -> None:
    """From what was written, and from all command lines of this moment."""
    password = str(conninfo_to_dict(line.env["LAKE_POSTGRES_DSN"])["password"])
    files = [file for file in line.var.rglob("*") if file.is_file()]
    assert not [file for file in files if password.encode() in file.read_bytes()]
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any("jobs/production/stream.py" in each for each in lines)
    assert not [each for each in lines if password in each]


def same(line: Platform) -> list[dict[str, Any]]:
    """The totals, which are the same row by row in PostgreSQL and in Delta."""
    stored, delta = both(line)
    assert stored == delta
    return stored


def killed(line: Platform, point: str, batch: int) -> None:
    """Run the stream until it dies at this point of this batch, its JVM too."""
    line.env["LAKE_FAULT"] = f"{point}:{batch}"
    try:
        stream = line.job("stream.py", "--query", "totals", "--max-per-batch", "700", "--trigger", "available-now")
        stream.communicate(timeout=240)
    finally:
        del line.env["LAKE_FAULT"]
    assert stream.returncode == -signal.SIGKILL


def test_totals_are_a_plain_count_of_the_topic_whatever_is_killed(line: Platform) -> None:
    line.run("produce.py", "--units", "120", "--rate", "0", "--seed", "7", "--bad-fraction", "0.02", "--no-pattern")
    messages = read_topic(line.bootstrap_servers, "production", 4)
    events = [event for event in map(decode, messages) if event]
    assert 20 < len(messages) - len(events) < len(messages) / 20
    killed(line, "totals.counted", 0)  # in PostgreSQL, not yet in Delta
    killed(line, "totals.upserted", 1)  # in one of the tables in Delta
    line.run("stream.py", "--max-per-batch", "700", "--trigger", "available-now")
    assert wrong(line) == []
    assert len(rows_of(line, "dead_letters")) == len(messages) - len(events)
    check_audit(line)
    said = line.run("recompute.py")
    assert f"{len(in_postgres(line))} equal in Delta, PostgreSQL and the history" in said
    assert counted(rows_of(line, "totals_batch")) == count(events)


def check_audit(line: Platform) -> None:
    """The audit finds nothing off; a total changed behind its back, in PostgreSQL alone, it does find."""
    command = [str(Path(sys.executable).parent / "lake"), "audit", "production"]
    clean = subprocess.run(command, env=line.env, capture_output=True, text=True, check=False)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    change = "UPDATE production.totals SET units = units {} 1 WHERE zone_id = 'BODY'"
    with psycopg.connect(line.env["LAKE_POSTGRES_DSN"], autocommit=True) as connection:
        connection.execute(change.format("+"))
        off = subprocess.run(command, env=line.env, capture_output=True, text=True, check=False)
        connection.execute(change.format("-"))
    assert off.returncode == 1
    assert "not the same in Delta and in PostgreSQL" in off.stdout


def test_while_postgres_is_away_the_stream_waits_and_catches_up(line: Platform) -> None:
    dsn = line.env["LAKE_POSTGRES_DSN"]
    folder = Path(str(conninfo_to_dict(dsn)["passfile"])).parent.parent
    server = int((folder / "data/postmaster.pid").read_text().splitlines()[0])
    command = [part.decode() for part in Path(f"/proc/{server}/cmdline").read_bytes().split(b"\0") if part]
    stream = line.job("stream.py", "--query", "totals")
    again = None
    try:
        line.run("produce.py", "--units", "20", "--rate", "200", "--seed", "8", "--no-pattern")
        wait_for(lambda: len(same(line)) > 0, 60, "totals")
        password_is_hidden(line)
        os.kill(server, signal.SIGKILL)
        line.run("produce.py", "--units", "20", "--rate", "200", "--seed", "9", "--no-pattern")
        progress = line.var / "run/progress/production.totals.json"
        wait_for(lambda: "PostgreSQL does not answer" in json.loads(progress.read_text())["error"], 90, "the reason")
        (folder / "data/postmaster.pid").unlink(missing_ok=True)
        again = subprocess.Popen([*unprivileged(), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        events = [event for event in map(decode, read_topic(line.bootstrap_servers, "production", 4)) if event]
        wait_for(lambda: again.poll() is None and _counted(line) == count(events), 120, "all totals")
        wait_for(lambda: counted(rows_of(line, "totals")) == count(events), 60, "all totals in Delta")
        same(line)
    finally:
        stream.send_signal(signal.SIGTERM)
        _, said = stream.communicate(timeout=90)
        if again:
            again.send_signal(signal.SIGINT)
            again.wait(30)
    assert stream.returncode == 0, said


def _counted(line: Platform) -> Any:
    try:
        return counted(in_postgres(line))
    except psycopg.OperationalError:
        return None
