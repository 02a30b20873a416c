"""A query that fails: restarted with growing waits, not after five failures in a row, nor when it was refused."""

from typing import Any

import pytest

from lakehouse.core import restart_policy
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.streaming.managed_query import ManagedQuery, query_failed


class Stream:
    """A streaming query as Spark's handle shows it."""

    lastProgress = None

    def __init__(self, error: str = "", active: bool = False) -> None:
        self._error, self.isActive = error, active

    def exception(self) -> str | None:
        return self._error or None


class FailsAfterALook:
    """A query that fails just after the first look at it, whichever that is."""

    lastProgress = None
    _looks = 0

    @property
    def isActive(self) -> bool:
        self._looks += 1
        return self._looks == 1

    def exception(self) -> str | None:
        self._looks += 1
        return "it broke" if self._looks > 1 else None


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


def managed(clock: list[float], *streams: Any) -> ManagedQuery:
    """A query whose starts give these streams, or raise these errors, in turn."""
    left = iter(streams)

    def start() -> Any:
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    query = ManagedQuery("houses.averages", start, lambda: clock[0])
    query.begin()
    return query


def test_it_is_started_again_after_the_wait_and_not_before(clock: list[float]) -> None:
    query = managed(clock, Stream("boom"), Stream(active=True))
    assert query.poll()
    assert (query.state, query.progress()["state"]) == ("backing off", "backing off")
    assert "boom" in query.progress()["error"]
    clock[0] += 0.9
    assert not query.poll()
    clock[0] += 0.2
    assert query.poll()
    assert (query.state, query.policy.restarts, query.progress()["error"]) == ("running", 1, "")
    assert "boom" in query.progress()["last_error"]


def fail(query: ManagedQuery, clock: list[float], times: int) -> None:
    for _ in range(times):
        clock[0] += 40
        query.poll()  # starts
        query.poll()  # fails


def test_five_failures_in_a_row_and_it_is_left_alone(clock: list[float]) -> None:
    query = managed(clock, *[Stream("boom") for _ in range(9)])
    query.poll()
    fail(query, clock, 3)
    assert query.state == "backing off"
    fail(query, clock, 1)
    assert (query.state, query.ended, query.policy.restarts) == ("failed", True, 4)
    assert "boom. It failed 5 times in a row" in str(query.error)
    fail(query, clock, 1)
    assert query.policy.restarts == 4


def test_failures_before_a_stable_time_do_not_count(clock: list[float]) -> None:
    query = managed(clock, *[Stream("boom") for _ in range(4)], Stream(active=True))
    query.poll()
    fail(query, clock, 3)
    clock[0] += 40
    query.poll()
    assert (query.state, query.policy.failures) == ("running", 4)
    clock[0] += restart_policy.STABLE_SECONDS + 1
    query.poll()
    assert query.policy.failures == 0


def test_a_refused_start_is_not_tried_again(clock: list[float]) -> None:
    query = managed(clock, Stream("boom"), RefusedError("Records are gone.", "Repair it."))
    query.poll()
    clock[0] += 2
    query.poll()
    assert (query.state, str(query.error)) == ("refused", "Records are gone. Repair it.")


def test_a_start_that_breaks_counts_as_a_failure(clock: list[float]) -> None:
    query = managed(clock, Stream("boom"), ValueError("no topic"), Stream(active=True))
    query.poll()
    for _ in range(2):
        clock[0] += 40
        query.poll()
    assert (query.state, query.policy.failures) == ("running", 2)


def test_a_service_that_is_away_at_a_restart_is_none_of_the_five_failures(clock: list[float]) -> None:
    away = UnavailableError("The broker has no topic houses.", "Make it again.")
    query = managed(clock, Stream("boom"), *[away] * 9, Stream("boom"), Stream(active=True))
    query.poll()
    for _ in range(9):
        clock[0] += 40
        query.poll()
        assert (query.state, query.policy.failures, str(query.error)) == ("backing off", 1, str(away))
    fail(query, clock, 1)
    assert (query.state, query.policy.failures) == ("backing off", 2)


@pytest.mark.parametrize("said", ["java.io.IOException: No space left on device", "Broker transport failure"])
def test_what_waiting_heals_is_tried_for_ever(clock: list[float], said: str) -> None:
    query = managed(clock, *[Stream(said) for _ in range(20)])
    query.poll()
    fail(query, clock, 15)
    assert query.state == "backing off"
    assert isinstance(query.error, UnavailableError)


def test_a_query_that_ends_by_itself_is_finished(clock: list[float]) -> None:
    query = managed(clock, Stream())
    assert query.poll()
    assert (query.state, query.ended) == ("finished", True)


def test_a_query_that_fails_between_two_looks_is_not_finished(clock: list[float]) -> None:
    query = managed(clock, FailsAfterALook())
    query.poll()
    assert query.state == "backing off"


def test_a_damaged_state_names_its_repair() -> None:
    failed = query_failed("houses.averages", "[CANNOT_LOAD_STATE_STORE.UNCATEGORIZED] SparkException: state")
    assert "`lake rebuild houses.averages`" in str(failed)
    assert type(query_failed("houses.averages", "ValueError: x")) is LakeError


def test_the_cause_is_pythons_own_error_and_no_line_of_a_stack() -> None:
    java = "org.apache.spark.SparkException: EOFException occurred\n\tat org.apache.SparkErrorUtils.run(a.scala:8)"
    assert str(query_failed("a.b", java)).startswith("Query a.b stopped: org.apache.spark.SparkException: EOFException")
    python = "Error from python worker:\n  ModuleNotFoundError: No module named 'x'\n" + java
    assert str(query_failed("a.b", python)).startswith("Query a.b stopped: ModuleNotFoundError: No module named 'x'.")


RAISED = "org.apache.spark.SparkException: [FOREACH_BATCH] …\nlakehouse.errors.{}: It is away. Wait for it.\n\tat org.x"


def test_a_batch_that_says_a_service_is_away_is_tried_again_for_ever(clock: list[float]) -> None:
    query = managed(clock, *[Stream(RAISED.format("UnavailableError"))] * 9)
    for _ in range(8):
        query.poll()
        assert query.state == "backing off"
        clock[0] += 31
        query.poll()
    assert str(query.error) == "Query houses.averages stopped: It is away. Wait for it."


def test_a_batch_that_is_refused_is_left_alone_at_once(clock: list[float]) -> None:
    query = managed(clock, Stream(RAISED.format("RefusedError")))
    query.poll()
    assert (query.state, query.ended, query.progress()["error"]) == ("refused", True, str(query.error))
    assert isinstance(query.error, RefusedError)


def test_started_again_for_another_reason_than_a_failure(clock: list[float]) -> None:
    query = managed(
        clock, Stream(active=True), Stream(active=True), UnavailableError("No broker."), Stream(active=True)
    )
    query.again()
    assert (query.state, query.policy.restarts, query.policy.tries) == ("running", 1, 0)
    query.again()
    assert (query.state, query.policy.restarts, str(query.error)) == ("backing off", 1, "No broker.")
    clock[0] += 1
    assert query.poll()
    assert (query.state, query.policy.restarts) == ("running", 2)
