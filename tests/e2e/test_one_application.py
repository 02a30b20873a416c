"""`lake up houses production --one-application`: what happens to one query leaves those of both domains alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lakehouse.embedded.postgres_server import Server
from lakehouse.streaming import checkpoints
from tests.e2e.running import Platform, lake_up, running, wait_for
from tests.postgres import answers, dsn_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]  # two starts, one of them beside a training
QUERIES = {"houses.averages", "houses.history", "production.totals", "production.history"}
ARGUMENTS = ("houses", "production", "--one-application")
PATIENCE = 300  # seconds


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


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A PostgreSQL, not started."""
    found = Server(tmp_path / "postgres", port=0)
    found.folder.mkdir()
    return found


def test_a_query_that_fails_or_is_refused_leaves_those_of_both_domains_alone(server: Server, tmp_path: Path) -> None:
    var = tmp_path / "lake/var"
    postgres = ExitStack()
    with postgres:
        postgres.enter_context(serving(server))
        with lake_up(var, *ARGUMENTS, LAKE_POSTGRES_DSN=dsn_of(server)) as platform:
            all_run_in_one_process(platform)
            one_fails_and_heals(platform, server, postgres)
        shutil.rmtree(var / "checkpoints/houses/averages")
        with lake_up(var, *ARGUMENTS, LAKE_POSTGRES_DSN=dsn_of(server)) as platform:
            one_is_refused_and_rebuilt(platform)


def all_run_in_one_process(platform: Platform) -> None:
    names = {process["name"] for process in running(platform)["processes"]}
    assert names & {"stream", "houses.stream", "production.stream"} == {"stream"}
    found = queries(platform)
    assert {*found} == QUERIES
    assert {(query["process"], query["state"]) for query in found.values()} == {("stream", "running")}
    wait_for_batches(platform, QUERIES)
    refused = lake(platform, "rebuild", "houses.averages")
    assert (refused.returncode, "is already running" in refused.stderr) == (78, True)


def one_fails_and_heals(platform: Platform, server: Server, postgres: ExitStack) -> None:
    """PostgreSQL ends: the totals wait for it."""
    postgres.close()
    wait_for(lambda: queries(platform)["production.totals"]["error"], PATIENCE, "the failure of the totals")
    before = batch(platform, "production.totals")
    wait_for_batches(platform, QUERIES - {"production.totals"})
    assert batch(platform, "production.totals") == before
    states = {name: query["state"] for name, query in queries(platform).items()}
    assert states == dict.fromkeys(QUERIES, "running") | {"production.totals": "backing off"}
    assert "production.totals (backing off): " in lake(platform, "status").stdout
    postgres.enter_context(serving(server))
    wait_for_batches(platform, {"production.totals"})
    assert queries(platform)["production.totals"]["state"] == "running"


def one_is_refused_and_rebuilt(platform: Platform) -> None:
    """The checkpoint of the averages is gone: their start is refused until they are rebuilt."""
    printed = (platform.var.parent / "up.txt").read_text()
    assert "! Query houses.averages was not started: its checkpoint" in printed
    assert "House sales: queries history run" in printed
    refused = queries(platform)["houses.averages"]
    assert (refused["state"], "`lake rebuild houses.averages`" in refused["error"]) == ("refused", True)
    wait_for_batches(platform, QUERIES - {"houses.averages"})
    done = lake(platform, "rebuild", "houses.averages")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: queries(platform)["houses.averages"]["state"] == "running", PATIENCE, "the rebuilt query")
    wait_for_batches(platform, QUERIES)
