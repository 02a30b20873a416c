"""A query that fails: started again with back-off, left alone after five failures in a row, or at once when refused."""

from typing import Any

import pytest

from lakehouse.core import restart_policy
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.streaming.managed_query import Tended, query_failed


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
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("lakehouse.streaming.managed_query.time.monotonic", lambda: now[0])
    return now


def tended(*streams: Any) -> Tended:
    """A query whose starts give these streams, or raise these errors, in turn."""
    left = iter(streams)

    def start() -> Any:
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    care = Tended("houses.averages", start)
    care.begin()
    return care


def test_waits_grow_up_to_half_a_minute() -> None:
    assert [restart_policy.wait_after(failures) for failures in (1, 2, 3, 4, 5, 9)] == [1, 2, 4, 8, 16, 30]


def test_it_is_started_again_after_the_wait_and_not_before(clock: list[float]) -> None:
    care = tended(Stream("boom"), Stream(active=True))
    assert care.tend()
    assert (care.state, care.progress()["state"]) == ("backing off", "backing off")
    assert "boom" in care.progress()["error"]
    clock[0] += 0.9
    assert not care.tend()
    clock[0] += 0.2
    assert care.tend()
    assert (care.state, care.restarts, care.progress()["error"]) == ("running", 1, "")
    assert "boom" in care.progress()["last_error"]


def fail(care: Tended, clock: list[float], times: int) -> None:
    for _ in range(times):
        clock[0] += 40
        care.tend()  # starts
        care.tend()  # fails


def test_five_failures_in_a_row_and_it_is_left_alone(clock: list[float]) -> None:
    care = tended(*[Stream("boom") for _ in range(9)])
    care.tend()
    fail(care, clock, 3)
    assert care.state == "backing off"
    fail(care, clock, 1)
    assert (care.state, care.ended, care.restarts) == ("failed", True, 4)
    assert "boom. It failed 5 times in a row" in str(care.error)
    fail(care, clock, 1)
    assert care.restarts == 4


def test_failures_before_a_stable_time_do_not_count(clock: list[float]) -> None:
    care = tended(*[Stream("boom") for _ in range(4)], Stream(active=True))
    care.tend()
    fail(care, clock, 3)
    clock[0] += 40
    care.tend()
    assert (care.state, care.failures) == ("running", 4)
    clock[0] += restart_policy.STABLE_SECONDS + 1
    care.tend()
    assert care.failures == 0


def test_a_refused_start_is_not_tried_again(clock: list[float]) -> None:
    care = tended(Stream("boom"), RefusedError("Records are gone.", "Repair it."))
    care.tend()
    clock[0] += 2
    care.tend()
    assert (care.state, str(care.error)) == ("failed", "Records are gone. Repair it.")


def test_a_start_that_breaks_counts_as_a_failure(clock: list[float]) -> None:
    care = tended(Stream("boom"), ValueError("no topic"), Stream(active=True))
    care.tend()
    for _ in range(2):
        clock[0] += 40
        care.tend()
    assert (care.state, care.failures) == ("running", 2)


def test_a_service_that_is_away_at_a_restart_is_none_of_the_five_failures(clock: list[float]) -> None:
    away = UnavailableError("The broker has no topic houses.", "Make it again.")
    care = tended(Stream("boom"), *[away] * 9, Stream("boom"), Stream(active=True))
    care.tend()
    for _ in range(9):
        clock[0] += 40
        care.tend()
        assert (care.state, care.failures, str(care.error)) == ("backing off", 1, str(away))
    fail(care, clock, 1)
    assert (care.state, care.failures) == ("backing off", 2)


@pytest.mark.parametrize("said", ["java.io.IOException: No space left on device", "Broker transport failure"])
def test_what_waiting_heals_is_tried_for_ever(clock: list[float], said: str) -> None:
    care = tended(*[Stream(said) for _ in range(20)])
    care.tend()
    fail(care, clock, 15)
    assert care.state == "backing off"
    assert isinstance(care.error, UnavailableError)


def test_a_query_that_ends_by_itself_is_finished() -> None:
    care = tended(Stream())
    assert care.tend()
    assert (care.state, care.ended) == ("finished", True)


def test_a_query_that_fails_between_two_looks_is_not_finished() -> None:
    care = tended(FailsAfterALook())
    care.tend()
    assert care.state == "backing off"


def test_a_damaged_state_names_its_repair() -> None:
    failed = query_failed("houses.averages", "[CANNOT_LOAD_STATE_STORE.UNCATEGORIZED] SparkException: state")
    assert "`lake rebuild houses.averages`" in str(failed)
    assert type(query_failed("houses.averages", "ValueError: x")) is LakeError


RAISED = "org.apache.spark.SparkException: [FOREACH_BATCH] …\nlakehouse.errors.{}: It is away. Wait for it.\n\tat org.x"


def test_a_batch_that_says_a_service_is_away_is_tried_again_for_ever(clock: list[float]) -> None:
    care = tended(*[Stream(RAISED.format("UnavailableError"))] * 9)
    for _ in range(8):
        care.tend()
        assert care.state == "backing off"
        clock[0] += 31
        care.tend()
    assert str(care.error) == "Query houses.averages stopped: It is away. Wait for it."


def test_a_batch_that_is_refused_is_left_alone_at_once() -> None:
    care = tended(Stream(RAISED.format("RefusedError")))
    care.tend()
    assert care.state == "failed"
    assert isinstance(care.error, RefusedError)
