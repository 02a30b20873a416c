"""A query that shares its application: refused or failed, it leaves the others alone and starts after a rebuild."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.houses.schema import DOMAIN
from lakehouse.core import run_state
from lakehouse.core.locks import exclusive, try_lock
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.streaming import shared_stream
from lakehouse.streaming.query import Query
from lakehouse.streaming.shared_runner import SharedQuery
from tests.lakehouse.streaming.test_managed_query import Stream

REFUSAL = RefusedError("Its checkpoint is gone.", "Repair it: `lake rebuild houses.averages`.")


def averages() -> Query:
    tables = DOMAIN.query_tables["averages"]
    return Query("houses", "averages", lambda frame: frame, lambda frame, batch: None, "update", tables)


@pytest.fixture
def lock(lake: Path) -> Path:
    return averages().lock


def shared(*starts: Any) -> SharedQuery:
    """The query, begun; its starts give these streams, or raise these errors, in turn."""
    left: Iterator[Any] = iter(starts)

    def start() -> Any:
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    query = SharedQuery(averages(), lambda _query: start(), lambda query: query)
    query.begin()
    return query


def is_free(lock: Path) -> bool:
    """Whether nobody holds the lock; looking changes nothing in the file."""
    if file := try_lock(lock):
        file.close()
    return file is not None


def test_it_holds_its_lock_while_it_runs_and_waits(lock: Path) -> None:
    query = shared(UnavailableError("It is away.", "Wait."), Stream(active=True))
    assert (query.state, is_free(lock)) == ("backing off", False)
    query.policy.forget()
    assert query.poll()
    assert (query.state, query.policy.restarts, is_free(lock)) == ("running", 1, False)
    query.release()
    assert is_free(lock)


def test_a_refused_start_raises_nothing_and_is_not_tried_again(lock: Path) -> None:
    query = shared(REFUSAL)
    assert (query.state, query.ended, str(query.error)) == ("refused", True, str(REFUSAL))
    assert is_free(lock)
    assert not any(query.poll() for _ in range(3))
    assert query.state == "refused"


@pytest.mark.parametrize("begun", [(REFUSAL,), tuple([Stream("boom")] * 5)])
def test_it_starts_again_after_a_rebuild_has_taken_its_lock(lock: Path, begun: tuple[Any, ...]) -> None:
    query = shared(*begun, Stream(active=True))
    for _ in range(2 * len(begun)):
        if not query.ended:
            query.policy._due_at = 0
            query.poll()
    assert query.ended
    restarts = query.policy.restarts
    with exclusive(lock, "The rebuild"):
        assert not query.poll()  # under way
    assert query.poll()
    assert (query.state, query.policy.restarts, is_free(lock)) == ("running", restarts + 1, False)
    assert query.progress()["error"] == ""


def test_a_rebuild_that_did_not_help_is_the_next_refusal(lock: Path) -> None:
    query = shared(REFUSAL, REFUSAL)
    with exclusive(lock, "The rebuild"):
        pass
    assert query.poll()
    assert (query.state, is_free(lock)) == ("refused", True)
    assert not query.poll()


def test_after_a_rebuild_it_runs_as_it_is_built_now(lock: Path) -> None:
    built: Iterator[Any] = iter([UnavailableError("The broker is away.", "Wait."), replace(averages(), most_records=7)])
    ran: list[int] = []

    def run(query: Query) -> Any:
        ran.append(query.most_records)
        if len(ran) == 1:
            raise REFUSAL
        return Stream(active=True)

    def build_again(query: Query) -> Query:
        assert query.most_records == averages().most_records
        if isinstance(given := next(built), Exception):
            raise given
        return given  # type: ignore[no-any-return]

    query = SharedQuery(averages(), run, build_again)
    query.begin()
    with exclusive(lock, "The rebuild"):
        pass
    assert query.poll()
    assert (query.state, str(query.error)) == ("backing off", "The broker is away. Wait.")
    query.policy.forget()
    assert query.poll()
    assert (query.state, ran) == ("running", [averages().most_records, 7])


def test_a_deleted_folder_of_checkpoints_does_not_end_the_others(lock: Path) -> None:
    query = shared(REFUSAL, Stream(active=True))
    shutil.rmtree(lock.parent)
    assert query.poll()
    assert (query.state, is_free(lock)) == ("running", False)
    shutil.rmtree(lock.parent)
    query.release()


def test_a_query_that_another_process_runs_is_refused_until_that_one_ends(lock: Path) -> None:
    with exclusive(lock, "Query houses.averages"):
        query = shared(Stream(active=True))
        assert query.state == "refused"
        assert "Query houses.averages is already running (pid " in str(query.error)
        assert not query.poll()
    assert query.poll()
    assert query.state == "running"


def test_a_query_that_has_read_everything_is_not_started_again(lock: Path) -> None:
    query = shared(Stream())
    assert query.poll()
    assert (query.state, query.poll()) == ("finished", False)


def test_a_domain_whose_queries_cannot_be_built_leaves_the_others(monkeypatch: pytest.MonkeyPatch, lock: Path) -> None:
    domains = shared_stream.discovery.load_all(["houses", "production"])
    monkeypatch.setattr(shared_stream.topic_settings, "begin", lambda *_: None)

    def build(domain: Any, _: str) -> list[Query]:
        if domain.name == "production":
            raise RefusedError("It counts other days.", "Change it back.")
        return [averages()]

    monkeypatch.setattr(shared_stream, "build", build)
    assert [query.full_name for query in shared_stream.build_all(domains, "")] == ["houses.averages"]
    reports = [run_state.read_json(run_state.progress_file("production", query)) for query in ("totals", "history")]
    assert [(each["state"], each["error"]) for each in reports] == [
        ("refused", "It counts other days. Change it back."),
    ] * 2
    with pytest.raises(LakeError, match="It counts other days"):
        shared_stream.build_all(domains[1:], "")


@pytest.mark.parametrize("error", [UnavailableError("The broker is away.", "Wait."), OSError(28, "No space left")])
def test_what_waiting_heals_ends_the_process_so_that_it_is_started_again(
    monkeypatch: pytest.MonkeyPatch, lake: Path, error: Exception
) -> None:
    domains = shared_stream.discovery.load_all(["houses", "production"])
    monkeypatch.setattr(shared_stream.topic_settings, "begin", lambda *_: None)

    def build(domain: Any, _: str) -> list[Query]:
        if domain.name == "production":
            raise error
        return [averages()]

    monkeypatch.setattr(shared_stream, "build", build)
    with pytest.raises(type(error)):
        shared_stream.build_all(domains, "")


def test_a_script_that_two_processes_run_gives_each_query_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = DOMAIN.processes[0]
    parts = tuple(replace(stream, name=name, queries=(name,)) for name in ("averages", "history"))
    domain = replace(DOMAIN, processes=parts)
    history = replace(averages(), name="history")
    script = SimpleNamespace(queries=lambda _: [averages(), history])
    monkeypatch.setattr(shared_stream.discovery, "job_module", lambda *_: script)
    monkeypatch.setattr(shared_stream.discovery, "load", lambda _: domain)
    assert [query.name for query in shared_stream.build(domain, "")] == ["averages", "history"]
    assert shared_stream.build_again("", history).name == "history"
