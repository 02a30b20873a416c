"""`lake up houses production --one-application`: what happens to one query leaves those of both domains alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lakehouse.core.locks import exclusive
from lakehouse.embedded.postgres_server import Server
from lakehouse.streaming import checkpoints
from tests.e2e.running import Platform, lake_up, running, wait_for
from tests.postgres import answers, dsn_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]
QUERIES = {"houses.averages", "houses.history", "production.totals", "production.history"}
ARGUMENTS = ("houses", "production", "--one-application")
PATIENCE = 400  # seconds


@contextmanager
def serving(server: Server) -> Iterator[None]:
    """A PostgreSQL that the test can end and start again at the same port."""
    with (server.folder / "log").open("ab") as log:
        process = subprocess.Popen(server.command(), stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: answers(dsn_of(server)), 60, "PostgreSQL's answer")
        yield
    finally:
        process.send_signal(2)
        process.wait(30)


def lake(platform: Platform, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "lake"), *arguments]
    return subprocess.run(command, env=platform.env, capture_output=True, text=True, check=False)


def queries(platform: Platform) -> dict[str, dict[str, Any]]:
    """The queries as `lake status --json` shows them, by name."""
    return {query["name"]: query for query in json.loads(lake(platform, "status", "--json").stdout)["queries"]}


def states(platform: Platform) -> dict[str, str]:
    """The state of each query."""
    return {name: query["state"] for name, query in queries(platform).items()}


def batch(platform: Platform, query: str) -> int:
    """The query's last committed batch, -1 before the first."""
    commits = platform.var / "checkpoints" / query.replace(".", "/") / "commits"
    return max(checkpoints._batch_ids(commits), default=-1)


def wait_for_batches(platform: Platform, names: set[str]) -> None:
    """Wait until each query has committed two more batches."""
    before = {name: batch(platform, name) for name in names}

    def have() -> bool:
        return all(batch(platform, name) >= then + 2 for name, then in before.items())

    wait_for(have, PATIENCE, f"two more batches of {', '.join(sorted(names))}")


def test_a_query_that_is_refused_or_fails_leaves_those_of_both_domains_alone(tmp_path: Path) -> None:
    server, var = Server(tmp_path / "postgres", port=0), tmp_path / "lake/var"
    server.folder.mkdir()
    another, postgres = ExitStack(), ExitStack()
    another.enter_context(exclusive(var / "checkpoints/houses/averages.lock", "The test"))
    with another, postgres:
        postgres.enter_context(serving(server))
        with lake_up(var, *ARGUMENTS, seconds=1200, LAKE_POSTGRES_DSN=dsn_of(server)) as platform:
            one_is_refused(platform, another)
            all_run_in_one_process(platform)
            one_fails_and_heals(platform, server, postgres)
            one_is_rebuilt(platform, server)


def one_is_refused(platform: Platform, another: ExitStack) -> None:
    """Another process, the test, runs the averages: their start is refused until it ends."""
    printed = (platform.var.parent / "up.txt").read_text()
    assert "! Query houses.averages is already running (pid " in printed
    assert "House sales: queries history run" in printed
    assert states(platform) == dict.fromkeys(QUERIES, "running") | {"houses.averages": "refused"}
    assert "houses.averages (refused): Query houses.averages is already " in lake(platform, "status").stdout
    wait_for_batches(platform, QUERIES - {"houses.averages"})
    assert batch(platform, "houses.averages") == -1
    another.close()
    wait_for_batches(platform, {"houses.averages"})


def all_run_in_one_process(platform: Platform) -> None:
    names = {process["name"] for process in running(platform)["processes"]}
    assert names & {"stream", "houses.stream", "production.stream"} == {"stream"}
    assert {(query["process"], query["state"]) for query in queries(platform).values()} == {("stream", "running")}
    busy = lake(platform, "rebuild", "houses.averages")
    assert (busy.returncode, "is already running" in busy.stderr) == (78, True)


def one_fails_and_heals(platform: Platform, server: Server, postgres: ExitStack) -> None:
    """PostgreSQL ends: the totals wait for it."""
    postgres.close()
    wait_for(lambda: queries(platform)["production.totals"]["error"], PATIENCE, "the failure of the totals")
    before = batch(platform, "production.totals")
    wait_for_batches(platform, QUERIES - {"production.totals"})
    assert batch(platform, "production.totals") == before
    waiting = dict.fromkeys(QUERIES, "running") | {"production.totals": "backing off"}  # running while it tries
    wait_for(lambda: states(platform) == waiting, PATIENCE, "the totals wait while the others run")
    postgres.enter_context(serving(server))
    wait_for_batches(platform, {"production.totals"})
    assert queries(platform)["production.totals"]["state"] == "running"


def one_is_rebuilt(platform: Platform, server: Server) -> None:
    """PostgreSQL loses what it knows of batches: the totals are refused until they are rebuilt."""
    with psycopg.connect(dsn_of(server)) as connection:
        connection.execute("TRUNCATE production.stream_commits")
    wait_for(lambda: queries(platform)["production.totals"]["state"] == "refused", PATIENCE, "the refusal")
    wait_for_batches(platform, QUERIES - {"production.totals"})
    assert "lake rebuild" in queries(platform)["production.totals"]["error"]
    done = lake(platform, "rebuild", "production.totals")
    assert done.returncode == 0, done.stderr
    wait_for_batches(platform, QUERIES)
    assert {query["state"] for query in queries(platform).values()} == {"running"}
