"""When something that failed is restarted: the rule of processes and queries, on a clock of the test's own."""

import pytest

from lakehouse.core import restart_policy
from lakehouse.core.restart_policy import Failure, RestartPolicy, failure_of
from lakehouse.errors import DataError, LakeError, RefusedError, UnavailableError


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy(clock: Clock) -> RestartPolicy:
    return RestartPolicy(clock)


def test_waits_grow_up_to_half_a_minute() -> None:
    assert [restart_policy.wait_after(failures) for failures in (1, 2, 3, 4, 5, 9)] == [1, 2, 4, 8, 16, 30]


def test_it_is_restarted_after_the_wait_and_not_before(clock: Clock, policy: RestartPolicy) -> None:
    assert policy.failed(Failure.OWN) == 1
    clock.now += 0.9
    assert not policy.restart_due()
    clock.now += 0.1
    assert (policy.restart_due(), policy.restarts) == (True, 1)


def test_the_fifth_failure_of_its_own_is_the_last(policy: RestartPolicy) -> None:
    assert [policy.failed(Failure.OWN) for _ in range(5)] == [1, 2, 4, 8, None]


def test_what_waiting_heals_counts_for_the_wait_only(policy: RestartPolicy) -> None:
    kinds = [Failure.OWN] * 4 + [Failure.HEALS] * 20
    assert None not in [policy.failed(kind) for kind in kinds]
    assert (policy.failures, policy.tries) == (4, 24)
    assert policy.failed(Failure.OWN) is None


def test_after_a_stable_time_counting_starts_again(clock: Clock, policy: RestartPolicy) -> None:
    for _ in range(4):
        policy.failed(Failure.OWN)
    policy.started()
    clock.now += restart_policy.STABLE_SECONDS
    policy.runs()
    assert policy.failures == 4
    clock.now += 0.1
    policy.runs()
    assert (policy.failures, policy.failed(Failure.OWN)) == (0, 1)


def test_what_was_refused_is_not_restarted(policy: RestartPolicy) -> None:
    assert policy.failed(Failure.REFUSED) is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RefusedError("no"), Failure.REFUSED),
        (UnavailableError("away"), Failure.HEALS),
        (OSError("full"), Failure.HEALS),
        (LakeError("broken"), Failure.OWN),
        (DataError("bad"), Failure.OWN),
        (ValueError("x"), Failure.OWN),
    ],
)
def test_an_error_says_what_kind_of_failure_it_is(error: Exception, kind: Failure) -> None:
    assert failure_of(error) is kind
