"""The production line for real: broker, PostgreSQL, producer, both queries, kills in between, and a plain count.

The oracle reads the topic with a plain consumer and its own decoder; it shares no code with the pipeline.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from confluent_kafka import Message, Producer
from psycopg.conninfo import conninfo_to_dict

from lakehouse.embedded.postgres_server import unprivileged
from lakehouse.settings import ROOT
from tests import suite
from tests.audit.crashes import finish, kill
from tests.audit.oracle import records
from tests.e2e.running import Platform, rows_of, wait_for
from tests.jobs.production.audit_oracle import both, decode, in_postgres
from tests.jobs.production.line import SEMINAR, count, counted, seminar
from tests.postgres import password_of
from tests.sites import Site, site

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An empty lake with its broker and its PostgreSQL."""
    with site(tmp_path_factory.mktemp("line"), suite.load("production")) as line:
        server = line.env["LAKE_POSTGRES_DSN"]
        line.env["LAKE_POSTGRES_DSN"] = f"{server} password={password_of(server)}"  # which is to be seen nowhere
        yield line


@pytest.fixture(scope="module")
def restarted(line: Platform) -> "Iterator[list[subprocess.Popen[bytes]]]":
    """The PostgreSQL that took the place of one that a test has killed; it serves the tests that follow, too."""
    servers: list[subprocess.Popen[bytes]] = []
    yield servers
    for server in servers:
        server.send_signal(signal.SIGINT)
        server.wait(30)


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


def test_totals_are_a_plain_count_of_the_topic_whatever_is_killed(line: Site) -> None:
    line.run("produce.py", "--units", "120", "--rate", "0", "--seed", "7", "--bad-fraction", "0.02", "--no-pattern")
    assert send(line, "1") == 14  # of a plant that this one's file does not know: 1 to 4 are dead letters, and 11
    messages = records(line)
    events = [event for event in map(decode, messages) if event]
    assert 20 < len(messages) - len(events) < len(messages) / 20
    few = ("--max-per-batch", "700")
    assert kill(line, "totals.counted:0", *few) == []  # in PostgreSQL, not yet in Delta
    assert kill(line, "totals.upserted:1", *few) == []  # in one of the tables in Delta
    assert finish(line, *few) == []
    assert len(rows_of(line, "dead_letters")) == len(messages) - len(events)
    check_audit(line)
    report = line.run("recompute.py")
    assert f"{len(in_postgres(line))} equal in Delta, PostgreSQL and the history" in report
    assert counted(rows_of(line, "totals_batch")) == count(events)


def check_audit(line: Platform) -> None:
    """The audit finds nothing off; a total changed behind its back, in PostgreSQL alone, it does find."""
    clean = line.lake("audit", "production")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    change = "UPDATE production.totals SET units = units {} 1 WHERE zone_id = 'BODY'"
    with psycopg.connect(line.env["LAKE_POSTGRES_DSN"], autocommit=True) as connection:
        connection.execute(change.format("+"))
        off = line.lake("audit", "production")
        connection.execute(change.format("-"))
    assert off.returncode == 1
    assert "not the same in Delta and in PostgreSQL" in off.stdout


def test_while_postgres_is_away_the_stream_waits_and_catches_up(
    line: Site, restarted: "list[subprocess.Popen[bytes]]"
) -> None:
    dsn = line.env["LAKE_POSTGRES_DSN"]
    folder = Path(str(conninfo_to_dict(dsn)["passfile"])).parent.parent
    server = int((folder / "data/postmaster.pid").read_text().splitlines()[0])
    command = [part.decode() for part in Path(f"/proc/{server}/cmdline").read_bytes().split(b"\0") if part]
    stream = line.job("stream.py", "--query", "totals")
    try:
        line.run("produce.py", "--units", "20", "--rate", "200", "--seed", "8", "--no-pattern")
        wait_for(lambda: len(same(line)) > 0, 60, "totals")
        password_is_hidden(line)
        os.kill(server, signal.SIGKILL)
        line.run("produce.py", "--units", "20", "--rate", "200", "--seed", "9", "--no-pattern")
        progress = line.var / "run/progress/production.totals.json"
        wait_for(lambda: "PostgreSQL does not answer" in json.loads(progress.read_text())["error"], 90, "the reason")
        (folder / "data/postmaster.pid").unlink(missing_ok=True)
        again = subprocess.Popen(
            [*unprivileged(folder / "data"), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        restarted.append(again)
        events = [event for event in map(decode, records(line)) if event]
        wait_for(lambda: again.poll() is None and _counted(line) == count(events), 120, "all totals")
        wait_for(lambda: counted(rows_of(line, "totals")) == count(events), 60, "all totals in Delta")
        same(line)
    finally:
        stream.send_signal(signal.SIGTERM)
        _, error = stream.communicate(timeout=90)
    assert stream.returncode == 0, error


def _counted(line: Platform) -> Any:
    try:
        return counted(in_postgres(line))
    except psycopg.OperationalError:
        return None


def send(line: Platform, run: str) -> int:
    """Send a plant's own messages; how many the broker has taken."""
    taken: list[Any] = []
    producer = Producer({"bootstrap.servers": line.bootstrap_servers})
    for _, key, value in seminar(datetime.now(UTC), run):
        producer.produce("production", value, key, on_delivery=lambda error, message: taken.append(error or message))
    producer.flush(30)
    return sum(isinstance(one, Message) for one in taken)


def test_a_changed_plant_holds_for_what_comes_after_it_and_the_audit_agrees(line: Platform, tmp_path: Path) -> None:
    """The last one: the plain count that the others compare with knows the first plant only."""
    before = {(row["partition"], row["offset"]) for row in rows_of(line, "dead_letters")}
    more = (SEMINAR / "production.toml").read_text().split("[zones]")[1].split("BODY")[0]
    today = (ROOT / "conf/production.toml").read_text().replace('["unit_defect"]', '["unit_defect", "unit_concern"]')
    (tmp_path / "production.toml").write_text(today + more)
    line.env["LAKE_DOMAIN_CONF"] = str(tmp_path)
    assert send(line, "2") == 14
    line.run("stream.py", "--max-per-batch", "700", "--trigger", "available-now")
    letters = [row for row in rows_of(line, "dead_letters") if (row["partition"], row["offset"]) not in before]
    assert [row["reason"] for row in letters] == ["zone_id: there is no such zone"]
    assert json.loads(letters[0]["value"])["zone_id"] == "body"
    rows = [row for row in same(line) if str(row["day"]) == "2020-05-27"]
    assert counted(rows)["2020-05-27", "17"] == (1, 0, 0, 0)
    assert counted(rows)["2020-05-27", "72"] == (1, 1, 0, 1)
    assert counted(rows)["2020-05-27", "line"] == (1, 2, 2, 1)
    (tmp_path / "production.toml").write_text(today + more.replace("17 =", "18 ="))  # the audit asks what was in force
    clean = line.lake("audit", "production")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    (tmp_path / "production.toml").write_text((today + more).replace("06:00", "05:00"))
    off = line.lake("audit", "production")
    assert (off.returncode, "`lake rebuild production.totals`" in off.stderr) == (78, True), off.stderr
    del line.env["LAKE_DOMAIN_CONF"]
